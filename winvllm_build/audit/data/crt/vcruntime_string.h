#pragma once
#include <string.h>
#include <vcruntime.h>
