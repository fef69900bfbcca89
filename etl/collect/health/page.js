"use strict";
// Every ten seconds what changed is put in place; an answer that does not come is said at once,
// since a page that stands still would look like data that are fresh.
const EVERY = 10000, main = document.querySelector("main"), gone = document.getElementById("gone");
let heard = new Date();

async function refresh() {
  try {
    const answer = await fetch("/", { cache: "no-store", signal: AbortSignal.timeout(EVERY) });
    const told = new DOMParser().parseFromString(await answer.text(), "text/html");
    const fresh = answer.ok && told.querySelector("main");
    if (!fresh) throw new Error(answer.status);
    const old = main.children, scrolled = [...main.querySelectorAll(".wide")].map(one => one.scrollLeft);
    if (old.length === fresh.children.length) {
      for (let i = 0; i < old.length; i++) {
        if (old[i].outerHTML !== fresh.children[i].outerHTML) old[i].replaceWith(fresh.children[i].cloneNode(true));
      }
    } else {
      main.replaceChildren(...fresh.childNodes);
    }
    main.querySelectorAll(".wide").forEach((one, i) => { one.scrollLeft = scrolled[i] ?? 0; });
    document.title = told.title;
    heard = new Date();
    gone.hidden = true;
  } catch {
    gone.querySelector("span").textContent = heard.toISOString().slice(11, 19) + " UTC";
    gone.hidden = false;
    main.querySelector(".verdict")?.classList.remove("good");
  }
  document.documentElement.dataset.refreshed = Number(document.documentElement.dataset.refreshed ?? 0) + 1;
}

setInterval(refresh, EVERY);
document.documentElement.dataset.drawn = "yes";
