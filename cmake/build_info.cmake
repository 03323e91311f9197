# Run by every build: writes OUTPUT, build_info.h, anew where what it says has changed, so that nothing else is compiled again for it.
#   cmake -D SOURCE=… -D OUTPUT=… -D VERSION=… -D COMPILER=… -D FLAVOUR=… -D SANITIZERS=… -P build_info.cmake
execute_process(COMMAND git describe --tags --always --dirty WORKING_DIRECTORY ${SOURCE} OUTPUT_VARIABLE BUILD OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET RESULT_VARIABLE STATUS)
if(NOT STATUS EQUAL 0)
  set(BUILD "of an archive")  # without a repository
endif()
file(WRITE ${OUTPUT}.new "// Written by cmake/build_info.cmake.
#pragma once

namespace godwit::cli {

constexpr const char* kVersion = \"${VERSION}\";
constexpr const char* kBuild = \"${BUILD}\";
constexpr const char* kCompiler = \"${COMPILER}\";
constexpr const char* kFlavour = \"${FLAVOUR}\";
constexpr const char* kSanitizers = \"${SANITIZERS}\";

}  // namespace godwit::cli
")
file(COPY_FILE ${OUTPUT}.new ${OUTPUT} ONLY_IF_DIFFERENT)
file(REMOVE ${OUTPUT}.new)
