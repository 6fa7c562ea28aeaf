# SPDX-License-Identifier: MIT OR Apache-2.0
# What `cmake --install` installs: the libraries, their headers, the CMake package `sd-listen-fds` and the pkg-config modules.
include(CMakePackageConfigHelpers)

# install_libraries(TARGETS HEADER_DIRECTORY HEADER...): installs TARGETS and their headers. Without file sets, each header is
# installed as a file, below the name of the directory that contains it. CMake before 3.23 does not read the include directory
# from a file set that a newer one has exported, so it is always named.
function(install_libraries targets header_directory)
  if(file_sets)
    set(header_set FILE_SET HEADERS DESTINATION ${header_directory})
  endif()
  install(
    TARGETS ${targets}
    EXPORT sd-listen-fds
    ${header_set}
    INCLUDES
    DESTINATION ${header_directory})
  if(NOT file_sets)
    foreach(header IN LISTS ARGN)
      get_filename_component(directory ${header} DIRECTORY)
      get_filename_component(directory ${directory} NAME)
      install(FILES ${header} DESTINATION ${header_directory}/${directory})
    endforeach()
  endif()
endfunction()

set(libraries sd_listen_fds)
set(library_headers ${headers})
if(SD_LISTEN_FDS_BUILD_BOTH)
  list(APPEND libraries sd_listen_fds${other_suffix})
endif()
if(TARGET sd_testing)
  list(APPEND libraries sd_testing)
  list(APPEND library_headers ${testing_headers})
endif()
install_libraries("${libraries}" ${CMAKE_INSTALL_INCLUDEDIR} ${library_headers})
install(FILES include/sd/sd.cppm DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/sd) # the C++20 module
if(TARGET sd_daemon_static)
  set(libraries sd_daemon_static)
  if(TARGET sd_daemon)
    list(APPEND libraries sd_daemon)
  endif()
  # In a directory of its own, because a header of the same name belongs to libsystemd.
  install_libraries("${libraries}" ${CMAKE_INSTALL_INCLUDEDIR}/sd-daemon compat/include/systemd/sd-daemon.h)
endif()
if(TARGET sd_daemon_relinked)
  install(TARGETS sd_daemon_relinked LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}/sd-daemon NAMELINK_SKIP)
endif()

set(package_directory ${CMAKE_INSTALL_LIBDIR}/cmake/sd-listen-fds)
install(
  EXPORT sd-listen-fds
  NAMESPACE sd::
  FILE sd-listen-fds-targets.cmake
  DESTINATION ${package_directory})
configure_package_config_file(cmake/sd-listen-fds-config.cmake.in sd-listen-fds-config.cmake
                              INSTALL_DESTINATION ${package_directory} NO_SET_AND_CHECK_MACRO)
write_basic_package_version_file(sd-listen-fds-config-version.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/sd-listen-fds-config.cmake
              ${CMAKE_CURRENT_BINARY_DIR}/sd-listen-fds-config-version.cmake DESTINATION ${package_directory})

# The modules find their prefix from their own directory, so that an installed tree can be moved. A directory that is
# configured as an absolute path outside the prefix stays absolute.
foreach(dir INCLUDEDIR LIBDIR)
  if(IS_ABSOLUTE "${CMAKE_INSTALL_${dir}}")
    set(pc_${dir} "${CMAKE_INSTALL_${dir}}")
  else()
    set(pc_${dir} "\${prefix}/${CMAKE_INSTALL_${dir}}")
  endif()
endforeach()
function(install_pkg_config_module source dir)
  file(RELATIVE_PATH pc_prefix ${CMAKE_INSTALL_FULL_LIBDIR}/${dir} ${CMAKE_INSTALL_PREFIX})
  string(REGEX REPLACE "/$" "" pc_prefix "${pc_prefix}")
  get_filename_component(module ${source} NAME_WLE)
  configure_file(${source} ${module} @ONLY)
  install(FILES ${CMAKE_CURRENT_BINARY_DIR}/${module} DESTINATION ${CMAKE_INSTALL_LIBDIR}/${dir})
endfunction()
install_pkg_config_module(cmake/sd-listen-fds.pc.in pkgconfig)
if(TARGET sd_testing)
  install_pkg_config_module(cmake/sd-testing.pc.in pkgconfig)
endif()
if(TARGET sd_daemon_static)
  install_pkg_config_module(compat/sd-daemon.pc.in pkgconfig)
  if(SD_LISTEN_FDS_INSTALL_LIBSYSTEMD_PC)
    # Only programs whose PKG_CONFIG_PATH names its directory find it.
    install_pkg_config_module(compat/libsystemd.pc.in sd-daemon/pkgconfig)
  endif()
endif()

if(UNIX)
  install(FILES docs/sd-listen-fds.7 DESTINATION ${CMAKE_INSTALL_MANDIR}/man7)
endif()
if(SD_LISTEN_FDS_BUILD_MAN)
  install(DIRECTORY ${CMAKE_CURRENT_BINARY_DIR}/reference/man/man3 DESTINATION ${CMAKE_INSTALL_MANDIR})
endif()
