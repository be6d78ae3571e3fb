# From a bare Windows machine to the first build: environment in .venv, this checkout in it, then
# `winvllm-build build`. For Windows PowerShell 5.1 and newer.
#
#   scripts\quickstart.bat                       builds the profile quickstart
#   scripts\quickstart.bat --profile sm86        arguments go to `winvllm-build build`
#
# Needs git and a 64-bit Python >= 3.10, 3.11 for the profile quickstart (the variable PYTHON names one that
# is not on PATH), or uv, which gets one. Visual Studio is found by the tool itself. Running it again continues where
# the last run was ended.

$program = 'quickstart'
. (Join-Path $PSScriptRoot 'environment.ps1')

Initialize-Checkout
$arguments = @($args)
if ($arguments.Count -eq 0) {
    $arguments = @('--profile', 'quickstart')
}
Write-Step "winvllm-build build $arguments"
& $tool build @arguments
exit $LASTEXITCODE
