"""The command line run in this process: a second quicker than a process of its own."""

import io
import subprocess
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass

import pytest

import cli
from tests.acceptance.command import Product


@dataclass(frozen=True)
class InProcess:
    """`deribit-lake` as `Product` is, for what is neither killed nor measured."""

    product: Product

    @property
    def lake(self):
        return self.product.lake

    def run(self, *words):
        command = self.product.command(*words)[3:]
        out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8") for _ in range(2))
        with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
            for name, value in self.product.environment.items():
                patch.setenv(name, value)
            patch.setattr("sys.argv", ["deribit-lake", *command])
            with pytest.raises(SystemExit) as left:
                cli.main()
        told = []
        for stream in (out, err):
            stream.flush()
            told.append(stream.buffer.getvalue().decode())
        return subprocess.CompletedProcess(command, left.value.code, *told)
