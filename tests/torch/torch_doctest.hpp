// LibTorch and doctest in one file: both define CHECK. LibTorch comes first, its CHECK goes, doctest's stays.
#pragma once

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <torch/csrc/jit/api/module.h>

#undef CHECK

#include <doctest/doctest.h>
