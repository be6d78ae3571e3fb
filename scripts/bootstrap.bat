@echo off
rem Starts bootstrap.ps1 whatever the execution policy is; arguments are passed on.
setlocal DisableDelayedExpansion
rem A PowerShell 7 that we were started from names its own modules there, which powershell.exe cannot load.
set "PSModulePath="
powershell.exe -NoLogo -NoProfile -ExecutionPolicy Bypass -File "%~dp0bootstrap.ps1" %*
exit /b %ERRORLEVEL%
