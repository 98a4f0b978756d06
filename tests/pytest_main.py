"""The entry point of every Bazel test: runs pytest on the file that is named in its arguments."""

import os
import sys

import pytest

if __name__ == "__main__":
    args = ["-p", "no:cacheprovider", "--rootdir=.", "-c", "pyproject.toml"]
    # one process: Bazel itself runs several at a time
    args += ["-o", "addopts=-m 'not slow and not weekly'"]
    if os.environ.get("XML_OUTPUT_FILE"):
        args.append("--junitxml=" + os.environ["XML_OUTPUT_FILE"])
    if os.environ.get("TESTBRIDGE_TEST_ONLY"):
        args += ["-k", os.environ["TESTBRIDGE_TEST_ONLY"]]
    code = pytest.main(args + sys.argv[1:])
    # every test of the file may be marked `slow` or `weekly`, and so deselected
    sys.exit(0 if code == pytest.ExitCode.NO_TESTS_COLLECTED else code)
