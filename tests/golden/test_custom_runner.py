"""PlatformIO's test runner for the golden vectors: replay.c gets them as its argument and answers in TAP."""

import re
from pathlib import Path

import click
from platformio.test.exception import UnitTestError
from platformio.test.result import TestCase, TestStatus
from platformio.test.runners.base import TestRunnerBase

VECTORS = Path(__file__).resolve().parent / "forward.bin"


class CustomTestRunner(TestRunnerBase):
    planned = 0

    def setup(self):
        self.options.program_args = self.options.program_args or [str(VECTORS)]  # pio test -a FILE: another file

    def stage_testing(self):
        try:
            return super().stage_testing()
        except UnitTestError:  # it ends with 1 where a vector failed, which it has said already
            if not self.test_suite.get_status_nums(TestStatus.FAILED):
                raise

    def on_testing_line_output(self, line):
        if plan := re.match(r"1\.\.(\d+)", line):
            self.planned = int(plan[1])
        elif result := re.match(r"(not )?ok (\d+) - (.*)", line):
            status = TestStatus.FAILED if result[1] else TestStatus.PASSED
            self.test_suite.add_case(TestCase(name=f"{result[3]} {result[2]}", status=status))
        if not line.startswith("ok "):
            click.echo(line, nl=False)

    def teardown(self):
        missing = self.planned - len(self.test_suite.cases)
        if missing or not self.planned:
            error = RuntimeError(f"{missing} of {self.planned} vectors were not replayed")
            self.test_suite.add_case(TestCase(name="replay", status=TestStatus.ERRORED, exception=error))
