# Finds or builds static oneDNN >= 3.7 and defines the target googlenet_onednn.
# Order: ONEDNN_ROOT or a system package; the cache; ONEDNN_SOURCE; the upstream
# release; Debian's source package. It must be static and use the THREADPOOL
# runtime, since threads are ours (native/core/threads).
# Why each step and every flag: docs/decisions/0001-onednn-build.md.
include_guard(GLOBAL)
include(${CMAKE_CURRENT_LIST_DIR}/native-cache.cmake)

set(ONEDNN_UPSTREAM_VERSION "3.7.3" CACHE STRING "oneDNN release to download")
# As pinned by TensorFlow and XLA for the same archive (third_party/mkl_dnn).
set(ONEDNN_UPSTREAM_SHA256
  "071f289dc961b43a3b7c8cbe8a305290a7c5d308ec4b2f586397749abdc88296"
  CACHE STRING "SHA-256 of that release's tarball; change it together with the version")
set(onednn_upstream_url
  "https://github.com/uxlfoundation/oneDNN/archive/refs/tags/v${ONEDNN_UPSTREAM_VERSION}.tar.gz")
set(onednn_debian_version "3.7.2")
set(onednn_debian_sha256 "0cc51ca26c1af6a2bb1e71e378e7046f3ceb3e71791ee9d4e246d50f904a6ea6")
# -O1 is enough: the hot code is generated at run time (-O2 builds 1.3-2x longer).
set(onednn_flags "-O1 -DNDEBUG -w")

# Why <prefix> cannot be used, or "" when it can.
function(onednn_reject prefix out)
  set(problem "")
  set(headers "${prefix}/include/oneapi/dnnl")
  file(GLOB library "${prefix}/lib/libdnnl.a" "${prefix}/lib64/libdnnl.a" "${prefix}/lib/*/libdnnl.a")
  if(NOT library)
    set(problem "no static libdnnl.a below ${prefix}/lib")
  elseif(NOT EXISTS "${headers}/dnnl_version.h" OR NOT EXISTS "${headers}/dnnl_config.h")
    set(problem "no headers in ${headers}")
  else()
    file(STRINGS "${headers}/dnnl_version.h" lines REGEX "define DNNL_VERSION_M(AJOR|INOR)")
    string(REGEX MATCHALL "[0-9]+" numbers "${lines}")
    string(REPLACE ";" "." version "${numbers}")
    file(STRINGS "${headers}/dnnl_config.h" runtime REGEX "define DNNL_CPU_THREADING_RUNTIME ")
    if(version VERSION_LESS 3.7)
      set(problem "version ${version} is older than 3.7")
    elseif(NOT runtime MATCHES "DNNL_RUNTIME_THREADPOOL")
      set(problem "not built with DNNL_CPU_RUNTIME=THREADPOOL")
    endif()
  endif()
  set(${out} "${problem}" PARENT_SCOPE)
endfunction()

function(onednn_define prefix origin)
  file(GLOB library "${prefix}/lib/libdnnl.a" "${prefix}/lib64/libdnnl.a" "${prefix}/lib/*/libdnnl.a")
  list(GET library 0 library)
  find_package(Threads REQUIRED)
  add_library(googlenet_onednn INTERFACE)
  target_include_directories(googlenet_onednn SYSTEM INTERFACE "${prefix}/include")
  target_link_libraries(googlenet_onednn INTERFACE "${library}" Threads::Threads ${CMAKE_DL_LIBS})
  # Deleting the cache makes the next build configure again, and so refill it.
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS "${library}")
  message(STATUS "oneDNN: ${library} (${origin})")
endfunction()

# Cache folder of a source with that identity.
function(onednn_cache_prefix version identity out)
  file(SHA256 "${CMAKE_CURRENT_FUNCTION_LIST_DIR}/onednn-build/CMakeLists.txt" recipe)
  googlenet_cache_key(key "${onednn_flags}" "${recipe}" "${identity}")
  googlenet_cache_dir(cache)
  set(${out} "${cache}/onednn-${version}-${key}" PARENT_SCOPE)
endfunction()

# Identity and version of what the user gave as ONEDNN_SOURCE (folder or tarball).
function(onednn_given_source source out_version out_identity)
  if(IS_DIRECTORY "${source}")
    set(version "unknown")
    if(EXISTS "${source}/CMakeLists.txt")
      file(STRINGS "${source}/CMakeLists.txt" line REGEX "set\\(PROJECT_VERSION")
      string(REGEX MATCH "[0-9]+\\.[0-9]+(\\.[0-9]+)?" version "${line}")
    endif()
    set(${out_identity} "${source}" PARENT_SCOPE)
  else()
    file(SHA256 "${source}" identity)
    set(version "given")
    set(${out_identity} "${identity}" PARENT_SCOPE)
  endif()
  set(${out_version} "${version}" PARENT_SCOPE)
endfunction()

# Builds <source> into <prefix>; prints what is going on. "" or the reason.
function(onednn_build source work prefix out_error)
  message(STATUS "Building oneDNN once into ${prefix} (about 6 minutes on 2 cores)")
  googlenet_build_into_cache("oneDNN" "${CMAKE_CURRENT_FUNCTION_LIST_DIR}/onednn-build"
    "${work}" "${prefix}" dnnl problem
    "-DONEDNN_SOURCE_DIR=${source}"
    "-DCMAKE_CXX_FLAGS_RELEASE=${onednn_flags}" "-DCMAKE_C_FLAGS_RELEASE=${onednn_flags}")
  set(${out_error} "${problem}" PARENT_SCOPE)
endfunction()

function(onednn_find_or_build)
  set(tried "")

  # 1. A given folder is an order: if it does not fit, say so and stop.
  googlenet_setting(ONEDNN_ROOT root)
  if(root)
    onednn_reject("${root}" problem)
    if(problem)
      message(FATAL_ERROR "ONEDNN_ROOT=${root} cannot be used: ${problem}.\n"
        "Unset it to let the build find or build oneDNN itself.")
    endif()
    onednn_define("${root}" "ONEDNN_ROOT")
    return()
  endif()
  find_package(dnnl 3.7 CONFIG QUIET)
  if(dnnl_FOUND)
    get_filename_component(system "${dnnl_DIR}/../../.." ABSOLUTE)
    get_filename_component(system_up "${system}/.." ABSOLUTE)
    foreach(prefix IN ITEMS "${system}" "${system_up}")
      onednn_reject("${prefix}" problem)
      if(NOT problem)
        onednn_define("${prefix}" "system package")
        return()
      endif()
    endforeach()
    string(APPEND tried "\n  1. system package ${dnnl_DIR}: ${problem}")
  else()
    string(APPEND tried "\n  1. ONEDNN_ROOT is not set and find_package(dnnl 3.7) found nothing")
  endif()

  # 2. The cache, for whichever source the later steps would use.
  googlenet_setting(ONEDNN_SOURCE given)
  if(given)
    get_filename_component(given "${given}" ABSOLUTE)
    if(NOT EXISTS "${given}")
      message(FATAL_ERROR "ONEDNN_SOURCE=${given} does not exist: give a folder or a tarball.")
    endif()
    onednn_given_source("${given}" version identity)
    onednn_cache_prefix("${version}" "${identity}" given_prefix)
    set(candidates "${given_prefix}")
  else()
    onednn_cache_prefix("${ONEDNN_UPSTREAM_VERSION}" "${ONEDNN_UPSTREAM_SHA256}" upstream_prefix)
    onednn_cache_prefix("${onednn_debian_version}" "${onednn_debian_sha256}" debian_prefix)
    set(candidates "${upstream_prefix}" "${debian_prefix}")
  endif()
  googlenet_cache_dir(cache)
  # A second build waits here instead of compiling the same files again.
  if(NOT EXISTS "${upstream_prefix}" AND NOT EXISTS "${debian_prefix}" AND NOT EXISTS "${given_prefix}")
    message(STATUS "oneDNN is not in ${cache} yet (waits if another build is filling it)")
    file(LOCK "${cache}/onednn.lock" GUARD FUNCTION TIMEOUT 3600)
  endif()
  foreach(prefix IN LISTS candidates)
    onednn_reject("${prefix}" problem)
    if(NOT problem)
      onednn_define("${prefix}" "cache")
      return()
    endif()
  endforeach()
  string(APPEND tried "\n  2. cache ${cache}: nothing built for this compiler and these flags")

  googlenet_cache_work("${cache}" onednn work)
  set(problem "")

  # 3. Given source.
  set(source "")
  if(given)
    if(IS_DIRECTORY "${given}")
      set(source "${given}")
    else()
      googlenet_setting(ONEDNN_SOURCE_SHA256 sha256)
      googlenet_unpack("${given}" "${sha256}" "${work}/source" source problem)
    endif()
    if(source)
      onednn_build("${source}" "${work}" "${given_prefix}" problem)
    endif()
    set(prefix "${given_prefix}")
    string(APPEND tried "\n  3. ONEDNN_SOURCE=${given}: ${problem}")
  else()
    string(APPEND tried "\n  3. ONEDNN_SOURCE is not set")

    # 4. Upstream release, pinned.
    set(prefix "${upstream_prefix}")
    googlenet_download("${onednn_upstream_url}" "${ONEDNN_UPSTREAM_SHA256}" "${work}/onednn.tar.gz" problem)
    if(NOT problem)
      googlenet_unpack("${work}/onednn.tar.gz" "${ONEDNN_UPSTREAM_SHA256}" "${work}/source" source problem)
    endif()
    if(problem)
      message(STATUS "  ${problem}; trying Debian's source package")
      string(APPEND tried "\n  4. upstream release: ${problem}")
      # 5. Debian 13's source package.
      set(prefix "${debian_prefix}")
      googlenet_debian_fetch(onednn source trixie "${work}" files problem)
      if(files)
        list(GET files 0 tarball)
        googlenet_unpack("${tarball}" "${onednn_debian_sha256}" "${work}/source" source problem)
      endif()
      string(APPEND tried "\n  5. Debian source package onednn (trixie): ${problem}")
    endif()
    if(source)
      onednn_build("${source}" "${work}" "${prefix}" problem)
    endif()
  endif()

  file(REMOVE_RECURSE "${work}")
  if(NOT problem)
    onednn_reject("${prefix}" problem)
  endif()
  if(NOT problem)
    onednn_define("${prefix}" "built now")
    return()
  endif()
  message(FATAL_ERROR "oneDNN could not be found or built: ${problem}\nTried:${tried}\n"
    "To mend it, fetch ${onednn_upstream_url} on a machine with network, then run\n"
    "  ONEDNN_SOURCE=/path/to/v${ONEDNN_UPSTREAM_VERSION}.tar.gz npm run build\n"
    "or give a static build made with DNNL_CPU_RUNTIME=THREADPOOL:\n"
    "  ONEDNN_ROOT=/path/to/prefix npm run build\n")
endfunction()

onednn_find_or_build()
