# What `cmake --install` lays down: the libraries, their headers, the CMake package `sd-listen-fds`, the pkg-config modules.
include(CMakePackageConfigHelpers)

install(
  TARGETS sd_listen_fds sd_testing
  EXPORT sd-listen-fds
  FILE_SET HEADERS)
if(TARGET sd_daemon)
  # In a directory of its own, for beside libsystemd's header there is no room for one of the same name.
  install(
    TARGETS sd_daemon sd_daemon_static
    EXPORT sd-listen-fds
    FILE_SET HEADERS DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/sd-daemon)
endif()
if(TARGET sd_daemon_relinked)
  install(TARGETS sd_daemon_relinked LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}/sd-daemon NAMELINK_SKIP)
endif()
install(
  EXPORT sd-listen-fds
  NAMESPACE sd::
  FILE sd-listen-fds-config.cmake
  DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/sd-listen-fds)
write_basic_package_version_file(sd-listen-fds-config-version.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/sd-listen-fds-config-version.cmake
        DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/sd-listen-fds)

# The modules find their prefix from where they lie, so that an installed tree can be moved. What is configured as an
# absolute path outside the prefix stays absolute.
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
if(TARGET sd_daemon)
  install_pkg_config_module(compat/sd-daemon.pc.in pkgconfig)
  # Stands in for libsystemd's, for who sets PKG_CONFIG_PATH to its directory.
  install_pkg_config_module(compat/libsystemd.pc.in sd-daemon/pkgconfig)
endif()
