@echo off
rem Starts bootstrap.ps1 whatever the execution policy is; arguments are passed on.
setlocal DisableDelayedExpansion
powershell.exe -NoLogo -NoProfile -ExecutionPolicy Bypass -File "%~dp0bootstrap.ps1" %*
exit /b %ERRORLEVEL%
