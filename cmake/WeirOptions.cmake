# The standard, the warnings and the build accelerators, in one place.
set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "" FORCE)
endif()
# -O2, and assertions of weir's own (WEIR_ASSERT) stay in whatever NDEBUG says.
set(CMAKE_CXX_FLAGS_RELEASE "-O2 -DNDEBUG")

option(WEIR_TESTS "Build the tests" ON)
option(WEIR_WERROR "Warnings are errors" ON)
set(WEIR_SANITIZE "" CACHE STRING "Sanitizers to build with: address;undefined or thread")

find_program(WEIR_CCACHE ccache)
if(WEIR_CCACHE)
  # A precompiled header is only cached when ccache is told not to look at its time and macros.
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime
      ${WEIR_CCACHE})
endif()
find_program(WEIR_MOLD mold)
if(WEIR_MOLD)
  # What runs once, at the start, and what runs when something fails lie apart from the rest, as the other linkers have it
  # anyway: else each object file's share of them keeps the pages around it in memory, 1.2 MB in all.
  add_link_options(-fuse-ld=mold -Wl,-z,keep-text-section-prefix)
endif()
add_link_options(-Wl,--as-needed)

if(WEIR_SANITIZE)
  list(JOIN WEIR_SANITIZE "," _sanitizers)
  add_compile_options(-fsanitize=${_sanitizers} -fno-omit-frame-pointer)
  add_link_options(-fsanitize=${_sanitizers})
endif()

add_library(weir_options INTERFACE)
target_compile_options(weir_options INTERFACE -Wall -Wextra -Wpedantic -Wshadow -Wconversion
                       -Wno-missing-field-initializers  # designated initializers leave members at their defaults on purpose
                       $<$<BOOL:${WEIR_SANITIZE}>:-Wno-maybe-uninitialized>  # g++ 12 sees ghosts when it instruments
                       -Wno-mismatched-new-delete  # g++ 12 sees it in every coroutine whose frame asio allocates
                       $<$<BOOL:${WEIR_WERROR}>:-Werror>)
target_include_directories(weir_options INTERFACE ${PROJECT_SOURCE_DIR}/include ${PROJECT_SOURCE_DIR}/src ${PROJECT_SOURCE_DIR})
target_compile_definitions(weir_options INTERFACE BOOST_ASIO_SEPARATE_COMPILATION BOOST_BEAST_SEPARATE_COMPILATION
                           BOOST_ASIO_NO_DEPRECATED)
