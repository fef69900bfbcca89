# shellcheck shell=bash
first_screen() { # the Nth command of the README's first block, without its comment
    awk '/^```sh$/ { inside = 1; next } /^```$/ { exit } inside' README.md | sed -n "${1}p" | sed 's/ *#.*//'
}
