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
function Test-Python([string] $program, [string[]] $prefix) {
    $probe = 'import sys; sys.exit(sys.version_info < (3, 10) or sys.maxsize < 2**32)'
    return (Invoke-Program $program ($prefix + @('-c', $probe)) -quiet) -eq 0
}

# The program and its leading arguments, for example ('py', '-3.12').
function Find-Python {
    if ($env:PYTHON) {
        if (Test-Python $env:PYTHON @()) {
            return , @($env:PYTHON)
        }
        Stop-Run 4 "PYTHON=$($env:PYTHON) does not run, is older than 3.10 or is not 64-bit" `
            'set PYTHON to a 64-bit Python 3.10 or newer, or remove the variable'
    }
    if (Get-Command 'py.exe' -CommandType Application -ErrorAction SilentlyContinue) {
        foreach ($version in '-3.12', '-3.13', '-3.11', '-3.10', '-3') {
            if (Test-Python 'py.exe' @($version)) {
                return , @('py.exe', $version)
            }
        }
    }
    $stub = $false
    foreach ($name in 'python.exe', 'python3.exe') {
        $found = @(Get-Command $name -CommandType Application -All -ErrorAction SilentlyContinue)
        foreach ($candidate in $found) {
            if (Test-Python $candidate.Definition @()) {
                return , @($candidate.Definition)
            }
            if ($candidate.Definition -like '*\Microsoft\WindowsApps\*') {
                $stub = $true
            }
        }
    }
    $reason = 'no 64-bit Python 3.10 or newer was found through py.exe or on PATH'
    if ($stub) {
        $reason += ' (python.exe under WindowsApps is the stub of the Microsoft Store, not a Python)'
    }
    if (Get-Command 'uv.exe' -CommandType Application -ErrorAction SilentlyContinue) {
        Write-Step "${reason}: uv gets 3.12"
        if ((Invoke-Program 'uv.exe' @('python', 'install', '3.12')) -eq 0) {
            $found = [string] (& 'uv.exe' python find 3.12)
            if ($found -and (Test-Python $found @())) {
                return , @($found)
            }
        }
    }
    Stop-Run 4 $reason 'winget install Python.Python.3.12 (or astral-sh.uv), then open a new terminal and run this again'
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

# True if packages can be installed into it: one that was finished once, or one the user made.
function Test-Usable {
    if (-not (Test-Path -LiteralPath $venv)) {
        return $false
    }
    $lines = Read-State
    $finished = @($lines | Where-Object { $_ -like 'ready *' }).Count -gt 0
    if ($lines.Count -gt 0 -and -not $finished) {
        Write-Step "removing ${venv}: an earlier run was ended while making it"
    } elseif (Test-Python $venvPython @()) {
        return $true
    } elseif ($lines.Count -eq 0) {
        Stop-Run 4 "$venv exists, was not made by this script, and holds no working Python" `
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

function New-Environment {
    $python = Find-Python
    $prefix = @($python | Select-Object -Skip 1)
    Write-Step "making $venv with $python"
    New-Item -ItemType Directory -Force -Path $venv | Out-Null
    Add-State 'creating'
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
    if (-not (Get-Command 'git' -CommandType Application -ErrorAction SilentlyContinue)) {
        Stop-Run 4 'git is not installed or not on PATH' 'winget install Git.Git, then open a new terminal'
    }
    try {
        Update-Environment
    } catch {
        Stop-Run 12 "$($_.Exception.Message)" `
            "close programs that use $venv, make sure that the folder can be written, then run this again"
    }
}
