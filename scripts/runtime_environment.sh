#!/bin/sh
# The environment of tests/fallback: a Python with PyTorch, transformers, FastAPI and the openai package.
#
#   sh scripts/runtime_environment.sh             into WINVLLM_TEST_CACHE (build/test-cache), where the tests look
#   sh scripts/runtime_environment.sh FOLDER      elsewhere: name FOLDER/bin/python in WINVLLM_TEST_RUNTIME_PYTHON
#
# PYTHON names another Python (>= 3.10) than python3.11 or python3. Only a PyTorch without CUDA is taken, where pip's
# settings lead to one: the other is 3 GB.
set -eu
# shellcheck source=scripts/requirements_environment.sh
. "$(dirname -- "$0")/requirements_environment.sh"

begin runtime tests/fallback/requirements.txt "${1:-}"
make_environment "${PYTHON:-$(command -v python3.11 || echo python3)}" '>= (3, 10)' 'Python >= 3.10'
refuse_cuda
pip_install -qq --requirement "$root/$requirements"
finish
