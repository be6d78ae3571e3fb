# From a bare Windows machine to a first build that can be loaded: Python, environment, this checkout, torch, doctor,
# build. For Windows PowerShell 5.1 and newer.
#
#   scripts\bootstrap.bat                        the profile quickstart
#   scripts\bootstrap.bat --profile sm86         arguments go to `winvllm-build build`
#   scripts\bootstrap.bat --no-torch ...         without torch (2 GB): what is compiled is checked, not loaded
#
# quickstart.bat is this without torch and doctor, and says what is needed. Running it again continues where the last
# run was ended. Hashes are checked by pip, uv and the tool: Get-FileHash is not everywhere.

$program = 'bootstrap'
. (Join-Path $PSScriptRoot 'environment.ps1')

# The profile that the build will take, as words of a command.
function Get-ProfileWords([string[]] $words) {
    for ($at = 0; $at -lt $words.Count; $at++) {
        if (($words[$at] -ceq '--profile' -or $words[$at] -ceq '-p') -and $at + 1 -lt $words.Count) {
            return , @('--profile', $words[$at + 1])
        }
        if ($words[$at] -clike '--profile=*') {
            return , @($words[$at])
        }
    }
    return , @()
}

Initialize-Checkout
$arguments = @($args)
$withTorch = $true
if ($arguments.Count -gt 0 -and $arguments[0] -ceq '--no-torch') {
    $withTorch = $false
    $arguments = @($arguments | Select-Object -Skip 1)
}
if ($arguments.Count -eq 0) {
    $arguments = @('--profile', 'quickstart')
}
if ($withTorch) {
    $words = Get-ProfileWords $arguments
    Write-Step "winvllm-build toolchain torch $words"
    & $tool toolchain torch @words
    if ($LASTEXITCODE -ne 0) {
        exit $LASTEXITCODE
    }
}
Write-Step 'winvllm-build doctor'
& $tool doctor
if ($LASTEXITCODE -ne 0) {
    Write-Step 'the doctor found problems (see above); the build tells whether they are in its way'
}
Write-Step "winvllm-build build $arguments"
& $tool build @arguments
exit $LASTEXITCODE
