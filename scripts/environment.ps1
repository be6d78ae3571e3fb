# The environment of a checkout on Windows, made, updated and repaired; sourced by quickstart.ps1 and bootstrap.ps1,
# which set $program, the name for messages. For Windows PowerShell 5.1 and newer.

Set-StrictMode -Version 2.0
$ErrorActionPreference = 'Stop'

$root = Split-Path -Parent $PSScriptRoot
$venv = Join-Path $root '.venv'
$state = Join-Path $venv 'winvllm-build.state'
$log = Join-Path $venv 'winvllm-build.log'
$venvPython = Join-Path $venv 'Scripts\python.exe'
$tool = Join-Path $venv 'Scripts\winvllm-build.exe'
$clock = [System.Diagnostics.Stopwatch]::StartNew()

function Write-Step([string] $text) {
    Write-Host ('[{0,3:F0} s] {1}' -f $clock.Elapsed.TotalSeconds, $text)
}

# The codes are those of docs/exit-codes.md.
function Stop-Run([int] $code, [string] $message, [string] $fix) {
    [Console]::Error.WriteLine("${program}: error: $message")
    [Console]::Error.WriteLine("fix: $fix")
    exit $code
}

# Runs a program without reading its output; its exit code, or 9009 where it cannot be started.
# No stream is redirected by PowerShell 5.1 unless $quiet: it would make errors of plain stderr lines.
function Invoke-Program([string] $program, [string[]] $arguments, [switch] $quiet) {
    $ErrorActionPreference = 'Continue'
    try {
        if ($quiet) {
            & $program @arguments 2>&1 | Out-Null
        } else {
            & $program @arguments | Out-Host
        }
        return $LASTEXITCODE
    } catch {
        return 9009
    }
}

# The stub of the Microsoft Store does not run code: it fails this like any other unfit Python.
function Test-Python([string] $program, [string[]] $prefix, [int] $minor = 10) {
    $probe = "import sys; sys.exit(sys.version_info < (3, $minor) or sys.maxsize < 2**32)"
    return (Invoke-Program $program ($prefix + @('-c', $probe)) -quiet) -eq 0
}

function Test-Command([string] $name) {
    return $null -ne (Get-Command $name -CommandType Application -ErrorAction SilentlyContinue)
}

# The program and its leading arguments, for example ('py', '-3.12'); nothing where none is so new.
function Find-Python([int] $minor) {
    if ($env:PYTHON) {
        if (Test-Python $env:PYTHON @()) {
            return , @($env:PYTHON)
        }
        Stop-Run 4 "PYTHON=$($env:PYTHON) does not run, is older than 3.10 or is not 64-bit" `
            'set PYTHON to a 64-bit Python 3.10 or newer, or remove the variable'
    }
    if (Test-Command 'py.exe') {
        foreach ($version in '-3.12', '-3.13', '-3.11', '-3.14', '-3.10', '-3') {
            if (Test-Python 'py.exe' @($version) $minor) {
                return , @('py.exe', $version)
            }
        }
    }
    foreach ($name in 'python.exe', 'python3.exe') {
        $found = @(Get-Command $name -CommandType Application -All -ErrorAction SilentlyContinue)
        foreach ($candidate in $found) {
            if (Test-Python $candidate.Definition @() $minor) {
                return , @($candidate.Definition)
            }
        }
    }
    return , @()
}

# uv by the name to start it; with $install, winget gets it where there is none.
function Find-Uv([switch] $install) {
    if (Test-Command 'uv.exe') {
        return 'uv.exe'
    }
    if ($install -and (Test-Command 'winget.exe')) {
        Write-Step 'no 64-bit Python 3.10 or newer and no uv: winget gets uv'
        $words = @('install', '--exact', '--id', 'astral-sh.uv', '--accept-source-agreements',
            '--accept-package-agreements')
        [void] (Invoke-Program 'winget.exe' $words)
        # what winget adds to PATH is there for programs that are started from now on by others
        $link = Join-Path $env:LOCALAPPDATA 'Microsoft\WinGet\Links\uv.exe'
        if (Test-Path -LiteralPath $link) {
            return $link
        }
    }
    return ''
}

# What the installed environment depends on: a change of it installs again.
function Get-Fingerprint {
    $commit = 'no-commit'
    $ErrorActionPreference = 'Continue'
    $answer = & git -C $root rev-parse --verify --quiet HEAD 2>$null
    if ($LASTEXITCODE -eq 0 -and $answer) {
        $commit = [string] $answer
    }
    $bytes = [System.IO.File]::ReadAllBytes((Join-Path $root 'pyproject.toml'))
    $digest = [System.Security.Cryptography.SHA256]::Create().ComputeHash($bytes)
    return $commit + ' ' + [System.BitConverter]::ToString($digest).Replace('-', '').ToLowerInvariant()
}

function Read-State {
    if (Test-Path -LiteralPath $state) {
        return , @([System.IO.File]::ReadAllLines($state))
    }
    return , @()
}

function Add-State([string] $line) {
    [System.IO.File]::AppendAllText($state, "$line`n")
}

function Test-Ready([string] $wanted) {
    $lines = Read-State
    return $lines.Count -gt 0 -and $lines[-1] -eq "ready $wanted" -and
        (Test-Path -LiteralPath $tool) -and (Test-Python $venvPython @())
}

# True if pip is there, or Python's own copy of it could be put there: uv makes environments without.
function Test-Pip {
    if ((Invoke-Program $venvPython @('-m', 'pip', '--version') -quiet) -eq 0) {
        return $true
    }
    Write-Step "putting pip into $venv"
    [void] (Invoke-Program $venvPython @('-m', 'ensurepip') -quiet)
    return (Invoke-Program $venvPython @('-m', 'pip', '--version') -quiet) -eq 0
}

# True if packages can be installed into it: one that was finished once, or one the user made.
function Test-Usable {
    if (-not (Test-Path -LiteralPath $venv)) {
        return $false
    }
    $lines = Read-State
    $finished = @($lines | Where-Object { $_ -like 'ready *' }).Count -gt 0
    if ($lines.Count -gt 0 -and -not $finished) {
        Write-Step "removing ${venv}: an earlier run was ended while making it"
    } elseif ((Test-Python $venvPython @()) -and (Test-Pip)) {
        return $true
    } elseif ($lines.Count -eq 0) {
        Stop-Run 4 "$venv exists, was not made by this script, and holds no working Python with pip" `
            "Remove-Item -Recurse -Force '$venv'"
    } else {
        Write-Step "removing ${venv}: its Python does not run any more"
    }
    # the state goes last: what is left of an interrupted removal is still known as ours
    Get-ChildItem -LiteralPath $venv -Force | Where-Object { $_.FullName -ne $state } |
        Remove-Item -Recurse -Force
    Remove-Item -LiteralPath $venv -Recurse -Force
    return $false
}

# The newer tags, quickstart's among them, want 3.11; 3.10 is for those that do with it.
function New-Environment {
    $uv = ''
    $python = Find-Python 11
    if ($python.Count -eq 0) {
        $uv = Find-Uv
    }
    if ($python.Count -eq 0 -and -not $uv) {
        $python = Find-Python 10
    }
    if ($python.Count -eq 0 -and -not $uv) {
        $uv = Find-Uv -install
    }
    if ($python.Count -eq 0 -and -not $uv) {
        Stop-Run 4 ('no 64-bit Python 3.10 or newer through py.exe or on PATH, and no uv that gets one ' +
            '(a python.exe under WindowsApps is the stub of the Microsoft Store, not a Python)') `
            'winget install Python.Python.3.12 (or astral-sh.uv), then open a new terminal and run this again'
    }
    New-Item -ItemType Directory -Force -Path $venv | Out-Null
    Add-State 'creating'
    if ($uv) {
        # uv itself makes the environment, so that no path has to be read from what it prints in UTF-8
        Write-Step "making $venv with the Python 3.12 that uv has or gets"
        $words = @('venv', '--seed', '--allow-existing', '--python', '3.12', $venv)
        if ((Invoke-Program $uv $words) -ne 0) {
            Stop-Run 4 "uv could not make $venv" `
                'check the network, or winget install Python.Python.3.12; then run this again in a new terminal'
        }
        return
    }
    $prefix = @($python | Select-Object -Skip 1)
    Write-Step "making $venv with $python"
    if ((Invoke-Program $python[0] ($prefix + @('-m', 'venv', $venv))) -ne 0) {
        Stop-Run 4 "$python could not make $venv" 'repair that Python with its installer, then run this again'
    }
}

function Install-Checkout {
    Write-Step "installing this checkout and what it needs (log: $log)"
    Add-State 'installing'
    foreach ($name in 'PYTHONHOME', 'PYTHONPATH', 'PIP_TARGET', 'PIP_PREFIX', 'PIP_USER') {
        Remove-Item -Path "Env:$name" -ErrorAction SilentlyContinue
    }
    $arguments = @('-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '--no-input',
        '--log', $log, '--editable', $root)
    if ((Invoke-Program $venvPython $arguments) -ne 0 -or -not (Test-Path -LiteralPath $tool)) {
        Stop-Run 8 "pip could not install $root (log: $log)" `
            'check the network or pip''s index settings (pip config list), then run this again'
    }
}

function Update-Environment {
    $wanted = Get-Fingerprint
    if (Test-Ready $wanted) {
        Write-Step "environment $venv is up to date"
        return
    }
    if (-not (Test-Usable)) {
        New-Environment
    }
    Install-Checkout
    Add-State "ready $wanted"
    Write-Step "environment $venv is ready"
}

function Initialize-Checkout {
    if (-not (Test-Command 'git')) {
        Stop-Run 4 'git is not installed or not on PATH' 'winget install Git.Git, then open a new terminal'
    }
    try {
        Update-Environment
    } catch {
        Stop-Run 12 "$($_.Exception.Message)" `
            "close programs that use $venv, make sure that the folder can be written, then run this again"
    }
}
