#!/bin/sh
# The environment of tests/winsim: a Python 3.11 with PyTorch and what vLLM imports, about 2.8 GB and two minutes.
#
#   sh scripts/winsim_environment.sh             into WINVLLM_TEST_CACHE (build/test-cache), where the tests look
#   sh scripts/winsim_environment.sh FOLDER      elsewhere: name FOLDER/bin/python in WINVLLM_TEST_WINSIM_PYTHON
#
# PYTHON names another Python 3.11 than python3.11. Only a PyTorch without CUDA is taken, as in runtime_environment.sh.
set -eu
# shellcheck source=scripts/requirements_environment.sh
. "$(dirname -- "$0")/requirements_environment.sh"

begin winsim tests/winsim/requirements.txt "${1:-}"
need_space 6
make_environment "${PYTHON:-python3.11}" '== (3, 11)' 'Python 3.11'
refuse_cuda
pip_install -qq --requirement "$root/$requirements"
finish
