# From a bare Windows machine to a first build that can be loaded: Python, environment, this checkout, doctor, torch,
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

# Those of a build's arguments that choose what is built.
function Get-Choice([string[]] $words) {
    $named = '--profile', '-p', '--tag', '--arch', '--cuda-home', '--python', '--set'
    $kept = @()
    for ($at = 0; $at -lt $words.Count; $at++) {
        $word = $words[$at]
        if ($named -ccontains $word -and $at + 1 -lt $words.Count) {
            $at++
            $kept += @($word, $words[$at])
        } elseif ($named -ccontains ($word -split '=', 2)[0] -or $word -clike '-p?*') {
            $kept += $word
        }
    }
    return , $kept
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
$choices = Get-Choice $arguments
Write-Step "winvllm-build doctor $choices"
& $tool doctor @choices
if ($LASTEXITCODE -ne 0) {
    Write-Step 'the doctor found problems (see above); the build tells whether they are in its way'
}
if ($withTorch) {
    Write-Step "winvllm-build toolchain torch $choices"
    & $tool toolchain torch @choices
    if ($LASTEXITCODE -ne 0) {
        exit $LASTEXITCODE
    }
}
Write-Step "winvllm-build build $arguments"
& $tool build @arguments
exit $LASTEXITCODE
