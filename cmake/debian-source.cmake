# Fetches a source tarball or a binary package from Debian without root and
# without touching the system's apt: own sources list, own lists and own cache
# folders. The mirror is read from the system's sources, never written down here;
# apt checks Debian's signature, the caller pins the tarball's SHA-256.
include_guard(GLOBAL)

# Mirror of the system's first main archive (not security), or "" with a reason.
function(googlenet_debian_mirror out_mirror out_error)
  set(${out_mirror} "" PARENT_SCOPE)
  if(NOT EXISTS /etc/debian_version)
    set(${out_error} "this system is not Debian" PARENT_SCOPE)
    return()
  endif()
  find_program(GOOGLENET_APT_GET apt-get)
  mark_as_advanced(GOOGLENET_APT_GET)
  if(NOT GOOGLENET_APT_GET)
    set(${out_error} "apt-get was not found" PARENT_SCOPE)
    return()
  endif()
  # indextargets knows only what `apt-get update` has fetched; in a fresh container
  # that is nothing, and then the addresses that update would ask tell the mirror.
  execute_process(
    COMMAND ${GOOGLENET_APT_GET} indextargets --format "$(REPO_URI)" "Created-By: Packages"
    OUTPUT_VARIABLE known ERROR_VARIABLE problem)
  execute_process(COMMAND ${GOOGLENET_APT_GET} --print-uris update
    OUTPUT_VARIABLE asked ERROR_VARIABLE problem)
  string(REGEX REPLACE "/dists/[^\n]*" "" asked "${asked}")
  string(REPLACE "'" "" asked "${asked}")
  string(REGEX REPLACE "[\r\n]+" ";" uris "${known}\n${asked}")
  list(FILTER uris EXCLUDE REGEX "security|^$")
  list(FILTER uris INCLUDE REGEX "/debian/?$")
  if(NOT uris)
    set(${out_error} "apt knows no Debian mirror ${problem}" PARENT_SCOPE)
    return()
  endif()
  list(GET uris 0 mirror)
  set(${out_mirror} "${mirror}" PARENT_SCOPE)
endfunction()

# googlenet_debian_fetch(<package> source|binary <suite> <folder> <out_files> <out_error>)
# Downloads into <folder>; <out_files> holds the paths of *.orig.tar.* or *.deb.
function(googlenet_debian_fetch package kind suite folder out_files out_error)
  set(${out_files} "" PARENT_SCOPE)
  googlenet_debian_mirror(mirror problem)
  if(NOT mirror)
    set(${out_error} "${problem}" PARENT_SCOPE)
    return()
  endif()

  set(apt "${folder}/apt")
  file(MAKE_DIRECTORY "${apt}/lists/partial" "${apt}/cache/archives/partial")
  set(keyring "/usr/share/keyrings/debian-archive-keyring.gpg")
  set(options "")
  if(EXISTS "${keyring}")
    set(options "[signed-by=${keyring}] ")
  endif()
  set(type "deb")
  if(kind STREQUAL "source")
    set(type "deb-src")
  endif()
  file(WRITE "${apt}/sources.list" "${type} ${options}${mirror} ${suite} main\n")
  # The sandbox user _apt cannot write below a private home folder.
  set(private
    -o "Dir::Etc::SourceList=${apt}/sources.list" -o Dir::Etc::SourceParts=/dev/null
    -o "Dir::State::Lists=${apt}/lists" -o "Dir::Cache=${apt}/cache"
    -o APT::Sandbox::User=root -o Acquire::Retries=2 -o Acquire::Languages=none
    -o APT::Get::List-Cleanup=false)
  message(STATUS "Fetching Debian ${kind} package ${package} (${suite})")
  execute_process(COMMAND ${GOOGLENET_APT_GET} ${private} -q -o APT::Update::Error-Mode=any update
    OUTPUT_QUIET ERROR_VARIABLE problem RESULT_VARIABLE code)
  if(NOT code EQUAL 0)
    set(${out_error} "apt-get update of ${suite} failed: ${problem}" PARENT_SCOPE)
    return()
  endif()

  if(kind STREQUAL "source")
    # Only the tarball: we do not need Debian's patches, and its hash is pinned.
    set(command source --download-only --tar-only ${package})
    set(pattern "*.orig.tar.*")
  else()
    set(command download ${package})
    set(pattern "*.deb")
  endif()
  execute_process(COMMAND ${GOOGLENET_APT_GET} ${private} -q ${command}
    WORKING_DIRECTORY "${folder}" OUTPUT_QUIET ERROR_VARIABLE problem RESULT_VARIABLE code)
  file(GLOB files "${folder}/${pattern}")
  if(NOT code EQUAL 0 OR NOT files)
    set(${out_error} "apt-get ${command} failed: ${problem}" PARENT_SCOPE)
    return()
  endif()
  set(${out_files} "${files}" PARENT_SCOPE)
  set(${out_error} "" PARENT_SCOPE)
endfunction()
