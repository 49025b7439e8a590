# Shared by cmake/onednn.cmake and cmake/jpeg.cmake: where built libraries are
# kept (outside build/, so that a fresh checkout need not build them again), how a
# tarball is checked and unpacked, and how a library is built into the cache atomically.
include_guard(GLOBAL)
include(${CMAKE_CURRENT_LIST_DIR}/debian-source.cmake)

# Bump when the way of building changes without any file below cmake/ changing.
set(GOOGLENET_CACHE_EPOCH 1)

function(googlenet_cache_dir out)
  if(GOOGLENET_CACHE)
    set(dir "${GOOGLENET_CACHE}")
  elseif(DEFINED ENV{GOOGLENET_CACHE} AND NOT "$ENV{GOOGLENET_CACHE}" STREQUAL "")
    set(dir "$ENV{GOOGLENET_CACHE}")
  elseif(DEFINED ENV{XDG_CACHE_HOME} AND NOT "$ENV{XDG_CACHE_HOME}" STREQUAL "")
    set(dir "$ENV{XDG_CACHE_HOME}/googlenet")
  else()
    set(dir "$ENV{HOME}/.cache/googlenet")
  endif()
  get_filename_component(dir "${dir}" ABSOLUTE)
  file(MAKE_DIRECTORY "${dir}")
  set(${out} "${dir}" PARENT_SCOPE)
endfunction()

# A fresh folder in <cache> to build <name> in. Called under that library's lock, so folders that a killed build left
# belong to nobody and are removed.
function(googlenet_cache_work cache name out)
  file(GLOB leftovers "${cache}/.${name}-*")
  if(leftovers)
    file(REMOVE_RECURSE ${leftovers})
  endif()
  string(RANDOM LENGTH 8 token)
  file(MAKE_DIRECTORY "${cache}/.${name}-${token}")
  set(${out} "${cache}/.${name}-${token}" PARENT_SCOPE)
endfunction()

# Twelve hex digits over the compiler, the target and whatever the caller adds.
function(googlenet_cache_key out)
  string(JOIN "|" text "${GOOGLENET_CACHE_EPOCH}" "${CMAKE_CXX_COMPILER_ID}"
    "${CMAKE_CXX_COMPILER_VERSION}" "${CMAKE_SYSTEM_NAME}" "${CMAKE_SYSTEM_PROCESSOR}" ${ARGN})
  string(SHA256 hash "${text}")
  string(SUBSTRING "${hash}" 0 12 hash)
  set(${out} "${hash}" PARENT_SCOPE)
endfunction()

# Value of a CMake variable or else of the environment variable of that name.
function(googlenet_setting name out)
  if(DEFINED ${name} AND NOT "${${name}}" STREQUAL "")
    set(${out} "${${name}}" PARENT_SCOPE)
  elseif(DEFINED ENV{${name}})
    set(${out} "$ENV{${name}}" PARENT_SCOPE)
  else()
    set(${out} "" PARENT_SCOPE)
  endif()
endfunction()

# Checks <tarball> against <sha256> ("" = any) and unpacks it below <folder>;
# <out_source> is the folder that holds its CMakeLists.txt, "" with a reason.
function(googlenet_unpack tarball sha256 folder out_source out_error)
  set(${out_source} "" PARENT_SCOPE)
  file(SHA256 "${tarball}" found)
  if(sha256 AND NOT found STREQUAL sha256)
    set(${out_error} "SHA-256 of ${tarball} is ${found}, expected ${sha256}" PARENT_SCOPE)
    return()
  endif()
  file(MAKE_DIRECTORY "${folder}")
  file(ARCHIVE_EXTRACT INPUT "${tarball}" DESTINATION "${folder}")
  file(GLOB roots "${folder}/*/CMakeLists.txt" "${folder}/CMakeLists.txt")
  if(NOT roots)
    set(${out_error} "${tarball} holds no CMakeLists.txt" PARENT_SCOPE)
    return()
  endif()
  list(GET roots 0 root)
  get_filename_component(root "${root}" DIRECTORY)
  set(${out_source} "${root}" PARENT_SCOPE)
  set(${out_error} "" PARENT_SCOPE)
endfunction()

# Downloads an upstream release; "" with a reason when that does not work.
function(googlenet_download url sha256 file out_error)
  message(STATUS "Downloading ${url}")
  file(DOWNLOAD "${url}" "${file}" STATUS status TLS_VERIFY ON
    INACTIVITY_TIMEOUT 20 TIMEOUT 300)
  list(GET status 0 code)
  list(GET status 1 text)
  set(problem "")
  if(NOT code EQUAL 0)
    set(problem "download of ${url} failed: ${text}")
  else()
    file(SHA256 "${file}" found)
    if(NOT found STREQUAL sha256)
      set(problem "SHA-256 of ${url} is ${found}, expected ${sha256}")
    endif()
  endif()
  set(${out_error} "${problem}" PARENT_SCOPE)
endfunction()

# googlenet_build_into_cache(<title> <project> <work> <final> <target> <args...>)
# Configures <project>, builds <target> with percentages on the terminal, installs
# below <work> and renames to <final>, so a reader never sees half a library.
function(googlenet_build_into_cache title project work final target out_error)
  set(generator "Unix Makefiles")
  find_program(GOOGLENET_NINJA NAMES ninja ninja-build)
  mark_as_advanced(GOOGLENET_NINJA)
  if(GOOGLENET_NINJA)
    set(generator "Ninja")
  endif()
  set(stage "${work}/stage")
  set(target_system "")
  if(CMAKE_TOOLCHAIN_FILE)
    set(target_system "-DCMAKE_TOOLCHAIN_FILE=${CMAKE_TOOLCHAIN_FILE}")
  endif()
  # LIBDIR needs its type: untyped, libjpeg-turbo makes it an absolute path.
  execute_process(
    COMMAND ${CMAKE_COMMAND} -S "${project}" -B "${work}/build" -G "${generator}"
      "-DCMAKE_CXX_COMPILER=${CMAKE_CXX_COMPILER}" "-DCMAKE_C_COMPILER=${CMAKE_C_COMPILER}"
      -DCMAKE_BUILD_TYPE=Release "-DCMAKE_INSTALL_PREFIX=${stage}" -DCMAKE_INSTALL_LIBDIR:STRING=lib
      -Wno-dev ${target_system} ${ARGN}
    OUTPUT_VARIABLE log ERROR_VARIABLE log RESULT_VARIABLE code)
  if(NOT code EQUAL 0)
    set(${out_error} "configuring ${title} failed:\n${log}" PARENT_SCOPE)
    return()
  endif()

  # Inherits the terminal: the user sees "title 42% 94/224", not silence.
  cmake_host_system_information(RESULT cores QUERY NUMBER_OF_LOGICAL_CORES)
  if(DEFINED ENV{CMAKE_BUILD_PARALLEL_LEVEL})
    set(cores "$ENV{CMAKE_BUILD_PARALLEL_LEVEL}")
  endif()
  execute_process(
    COMMAND ${CMAKE_COMMAND} -E env --unset=MAKEFLAGS --unset=MAKELEVEL
      "NINJA_STATUS=${title} %p %f/%t %es " "${CMAKE_COMMAND}" --build "${work}/build"
      --target "${target}" --parallel ${cores}
    RESULT_VARIABLE code)
  if(NOT code EQUAL 0)
    set(${out_error} "building ${title} failed, see the compiler's messages above" PARENT_SCOPE)
    return()
  endif()
  execute_process(COMMAND ${CMAKE_COMMAND} --install "${work}/build"
    OUTPUT_VARIABLE log ERROR_VARIABLE log RESULT_VARIABLE code)
  if(NOT code EQUAL 0)
    set(${out_error} "installing ${title} failed:\n${log}" PARENT_SCOPE)
    return()
  endif()
  file(RENAME "${stage}" "${final}" RESULT problem)
  if(NOT problem EQUAL 0 AND NOT EXISTS "${final}/include")
    set(${out_error} "renaming ${stage} to ${final} failed: ${problem}" PARENT_SCOPE)
    return()
  endif()
  set(${out_error} "" PARENT_SCOPE)
endfunction()
