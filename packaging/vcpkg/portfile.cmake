# SPDX-License-Identifier: MIT OR Apache-2.0
# Builds the tree that contains this port: vcpkg install sd-listen-fds --overlay-ports=packaging/vcpkg. Without libsd-daemon.
# Not run yet: its CMake calls were run without vcpkg.
set(SOURCE_PATH "${CMAKE_CURRENT_LIST_DIR}/../..")

vcpkg_check_features(OUT_FEATURE_OPTIONS feature_options FEATURES testing SD_LISTEN_FDS_BUILD_TESTING_LIBRARY)
vcpkg_cmake_configure(
  SOURCE_PATH
  "${SOURCE_PATH}"
  OPTIONS
  -DBUILD_TESTING=OFF
  -DSD_LISTEN_FDS_BUILD_EXAMPLES=OFF
  -DSD_LISTEN_FDS_BUILD_SD_DAEMON=OFF
  ${feature_options})
vcpkg_cmake_install()
vcpkg_cmake_config_fixup(CONFIG_PATH lib/cmake/sd-listen-fds)
vcpkg_fixup_pkgconfig()
file(REMOVE_RECURSE "${CURRENT_PACKAGES_DIR}/debug/include")
vcpkg_install_copyright(FILE_LIST "${SOURCE_PATH}/LICENSE-MIT" "${SOURCE_PATH}/LICENSE-APACHE")
file(INSTALL "${CMAKE_CURRENT_LIST_DIR}/usage" DESTINATION "${CURRENT_PACKAGES_DIR}/share/${PORT}")
