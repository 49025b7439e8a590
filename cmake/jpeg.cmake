# Finds or builds static libjpeg-turbo with its SIMD and defines googlenet_jpeg.
# We use the libjpeg API (jpeglib.h: scaled DCT, jpeg_skip_scanlines,
# jpeg_crop_scanline), so libjpeg.a is enough; the TurboJPEG wrapper is not built.
# Order as for oneDNN: JPEG_ROOT; system; cache; JPEG_SOURCE; upstream; Debian.
include_guard(GLOBAL)
include(${CMAKE_CURRENT_LIST_DIR}/native-cache.cmake)
include(CheckCSourceCompiles)

set(jpeg_version "2.1.5")
# The same tarball upstream and in Debian 12 and 13 (libjpeg-turbo_2.1.5.orig.tar.gz).
set(jpeg_sha256 "254f3642b04e309fee775123133c6464181addc150499561020312ec61c1bf7c")
set(jpeg_upstream_url
  "https://github.com/libjpeg-turbo/libjpeg-turbo/archive/refs/tags/${jpeg_version}.tar.gz")

# Why that static library cannot go into a shared object with SIMD; "" when it can.
function(jpeg_reject library include out)
  set(${out} "" PARENT_SCOPE)
  if(NOT EXISTS "${library}" OR NOT EXISTS "${include}/jpeglib.h")
    set(${out} "no static libjpeg.a with jpeglib.h" PARENT_SCOPE)
    return()
  endif()
  set(simd "jsimd_can_idct_islow")
  if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
    set(simd "jsimd_idct_islow_avx2")
  elseif(CMAKE_SYSTEM_PROCESSOR MATCHES "aarch64|arm64")
    set(simd "jsimd_idct_islow_neon")
  endif()
  set(CMAKE_REQUIRED_INCLUDES "${include}")
  set(CMAKE_REQUIRED_LIBRARIES "${library}")
  set(CMAKE_REQUIRED_FLAGS "-fPIC")
  if(UNIX AND NOT APPLE)
    # Non-PIC objects and missing SIMD both show here, as link errors.
    set(CMAKE_REQUIRED_LINK_OPTIONS "-shared;-Wl,-z,defs")
  endif()
  set(CMAKE_REQUIRED_QUIET ON)
  string(SHA256 id "${library}|${include}")
  string(SUBSTRING "${id}" 0 12 id)
  check_c_source_compiles("
    #include <stdio.h>
    #include <jpeglib.h>
    #ifndef LIBJPEG_TURBO_VERSION
    #error not libjpeg-turbo
    #endif
    extern void ${simd}(void);
    int main(void) {
      struct jpeg_decompress_struct info;
      JDIMENSION x = 0, width = 8;
      jpeg_create_decompress(&info);
      jpeg_crop_scanline(&info, &x, &width);
      ${simd}();
      return (int)jpeg_skip_scanlines(&info, 1);
    }" GOOGLENET_JPEG_FITS_${id})
  if(NOT GOOGLENET_JPEG_FITS_${id})
    set(${out} "${library} is not libjpeg-turbo with SIMD that can be linked into a shared object"
      PARENT_SCOPE)
  endif()
endfunction()

function(jpeg_define library include origin)
  add_library(googlenet_jpeg INTERFACE)
  target_include_directories(googlenet_jpeg SYSTEM INTERFACE "${include}")
  target_link_libraries(googlenet_jpeg INTERFACE "${library}")
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS "${library}")
  message(STATUS "libjpeg-turbo: ${library} (${origin})")
endfunction()

# nasm from the system or, on Debian, its package unpacked into the cache.
function(jpeg_nasm work out out_error)
  set(${out} "" PARENT_SCOPE)
  set(${out_error} "" PARENT_SCOPE)
  if(NOT CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
    return()
  endif()
  googlenet_cache_dir(cache)
  find_program(GOOGLENET_NASM NAMES nasm yasm PATHS "${cache}/nasm/usr/bin")
  mark_as_advanced(GOOGLENET_NASM)
  if(GOOGLENET_NASM)
    set(${out} "${GOOGLENET_NASM}" PARENT_SCOPE)
    return()
  endif()
  file(STRINGS /etc/os-release release REGEX "^VERSION_CODENAME=")
  string(REGEX REPLACE "^VERSION_CODENAME=\"?([a-z]+).*" "\\1" suite "${release}")
  googlenet_debian_fetch(nasm binary "${suite}" "${work}/nasm-package" files problem)
  if(files)
    list(GET files 0 package)
    execute_process(COMMAND dpkg-deb -x "${package}" "${work}/nasm"
      RESULT_VARIABLE code ERROR_VARIABLE problem)
    if(code EQUAL 0)
      file(RENAME "${work}/nasm" "${cache}/nasm" RESULT ignored)
      set(${out} "${cache}/nasm/usr/bin/nasm" PARENT_SCOPE)
      return()
    endif()
  endif()
  set(${out_error} "nasm, which its SIMD needs, is missing: ${problem}" PARENT_SCOPE)
endfunction()

# Puts the source folder into <out>, trying 4-6; <out_tried> collects the reasons.
function(jpeg_source given work out out_tried)
  set(source "")
  set(tried "")
  if(given)
    if(IS_DIRECTORY "${given}")
      set(source "${given}")
    else()
      googlenet_setting(JPEG_SOURCE_SHA256 sha256)
      googlenet_unpack("${given}" "${sha256}" "${work}/source" source problem)
      string(APPEND tried "\n  4. JPEG_SOURCE: ${problem}")
    endif()
  else()
    string(APPEND tried "\n  4. JPEG_SOURCE is not set")
    googlenet_download("${jpeg_upstream_url}" "${jpeg_sha256}" "${work}/jpeg.tar.gz" problem)
    if(problem)
      message(STATUS "  ${problem}; trying Debian's source package")
      string(APPEND tried "\n  5. upstream release: ${problem}")
      googlenet_debian_fetch(libjpeg-turbo source trixie "${work}" files problem)
      if(files)
        list(GET files 0 tarball)
      endif()
    else()
      set(tarball "${work}/jpeg.tar.gz")
    endif()
    if(NOT problem)
      googlenet_unpack("${tarball}" "${jpeg_sha256}" "${work}/source" source problem)
    endif()
    if(problem)
      string(APPEND tried "\n  6. Debian source package libjpeg-turbo (trixie): ${problem}")
    endif()
  endif()
  set(${out} "${source}" PARENT_SCOPE)
  set(${out_tried} "${tried}" PARENT_SCOPE)
endfunction()

function(jpeg_find_or_build)
  # 1. A given folder is an order.
  googlenet_setting(JPEG_ROOT root)
  if(root)
    file(GLOB library "${root}/lib/libjpeg.a" "${root}/lib64/libjpeg.a" "${root}/lib/*/libjpeg.a")
    jpeg_reject("${library}" "${root}/include" problem)
    if(problem)
      message(FATAL_ERROR "JPEG_ROOT=${root} cannot be used: ${problem}.")
    endif()
    jpeg_define("${library}" "${root}/include" "JPEG_ROOT")
    return()
  endif()

  # 2. System, unless a source was given.
  googlenet_setting(JPEG_SOURCE given)
  set(tried "\n  1. JPEG_ROOT is not set")
  if(given)
    get_filename_component(given "${given}" ABSOLUTE)
    if(NOT EXISTS "${given}")
      message(FATAL_ERROR "JPEG_SOURCE=${given} does not exist: give a folder or a tarball.")
    endif()
  else()
    find_library(GOOGLENET_JPEG_LIBRARY NAMES libjpeg.a)
    find_path(GOOGLENET_JPEG_INCLUDE NAMES jpeglib.h)
    mark_as_advanced(GOOGLENET_JPEG_LIBRARY GOOGLENET_JPEG_INCLUDE)
    jpeg_reject("${GOOGLENET_JPEG_LIBRARY}" "${GOOGLENET_JPEG_INCLUDE}" problem)
    if(NOT problem)
      jpeg_define("${GOOGLENET_JPEG_LIBRARY}" "${GOOGLENET_JPEG_INCLUDE}" "system")
      return()
    endif()
    string(APPEND tried "\n  2. system: ${problem}")
  endif()

  # 3. Cache.
  set(identity "${jpeg_sha256}")
  if(given)
    set(identity "${given}")
    if(NOT IS_DIRECTORY "${given}")
      file(SHA256 "${given}" identity)
    endif()
  endif()
  googlenet_cache_dir(cache)
  googlenet_cache_key(key "${identity}")
  set(prefix "${cache}/libjpeg-turbo-${jpeg_version}-${key}")
  if(NOT EXISTS "${prefix}/lib/libjpeg.a")
    file(LOCK "${cache}/jpeg.lock" GUARD FUNCTION TIMEOUT 3600)
  endif()
  if(EXISTS "${prefix}/lib/libjpeg.a")
    jpeg_define("${prefix}/lib/libjpeg.a" "${prefix}/include" "cache")
    return()
  endif()
  string(APPEND tried "\n  3. cache ${cache}: nothing built for this compiler")

  googlenet_cache_work("${cache}" jpeg work)
  jpeg_nasm("${work}" nasm problem)
  if(NOT problem)
    jpeg_source("${given}" "${work}" source reasons)
    string(APPEND tried "${reasons}")
    set(problem "no source could be had")
  endif()
  if(source)
    message(STATUS "Building libjpeg-turbo once into ${prefix} (about 20 seconds)")
    googlenet_build_into_cache("libjpeg-turbo" "${source}" "${work}" "${prefix}" all problem
      -DENABLE_SHARED=0 -DWITH_TURBOJPEG=0 -DREQUIRE_SIMD=1
      -DCMAKE_POSITION_INDEPENDENT_CODE=ON -DCMAKE_C_VISIBILITY_PRESET=hidden
      "-DCMAKE_ASM_NASM_COMPILER=${nasm}")
  endif()
  file(REMOVE_RECURSE "${work}")
  if(NOT problem)
    jpeg_reject("${prefix}/lib/libjpeg.a" "${prefix}/include" problem)
  endif()
  if(problem)
    message(FATAL_ERROR "libjpeg-turbo could not be found or built: ${problem}\nTried:${tried}\n"
      "To mend it, install nasm (Debian, Ubuntu: apt-get install nasm), fetch ${jpeg_upstream_url}\n"
      "on a machine with network, then run\n"
      "  JPEG_SOURCE=/path/to/${jpeg_version}.tar.gz npm run build\n")
  endif()
  jpeg_define("${prefix}/lib/libjpeg.a" "${prefix}/include" "built now")
endfunction()

jpeg_find_or_build()
