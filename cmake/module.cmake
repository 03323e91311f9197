# One static library per module. DEPS are the modules this one may include: the linker keeps the rule, since a module
# that is not named is not linked. EXTERNAL are libraries from outside, private to the module: their headers stay in it.
add_library(godwit_options INTERFACE)
target_compile_options(godwit_options INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion -Wold-style-cast
  -Wnon-virtual-dtor -Woverloaded-virtual -Wswitch-enum
  -Wno-missing-field-initializers  # designated initializers name what differs from the default
  $<$<BOOL:${GODWIT_WERROR}>:-Werror>)
if(GODWIT_SANITIZE)
  target_compile_options(godwit_options INTERFACE -fsanitize=${GODWIT_SANITIZE} -fno-omit-frame-pointer)
  target_link_options(godwit_options INTERFACE -fsanitize=${GODWIT_SANITIZE})
endif()

function(godwit_module NAME)
  cmake_parse_arguments(ARG "" "" "DEPS;EXTERNAL" ${ARGN})
  file(GLOB SOURCES CONFIGURE_DEPENDS *.cpp)
  add_library(godwit_${NAME} STATIC ${SOURCES})
  target_include_directories(godwit_${NAME} PUBLIC ${PROJECT_SOURCE_DIR}/include)
  target_link_libraries(godwit_${NAME} PUBLIC fmt::fmt Threads::Threads PRIVATE godwit_options ${ARG_EXTERNAL})
  foreach(DEP ${ARG_DEPS})
    target_link_libraries(godwit_${NAME} PUBLIC godwit_${DEP})
  endforeach()
endfunction()
