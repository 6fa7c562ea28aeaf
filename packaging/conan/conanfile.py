# SPDX-License-Identifier: MIT OR Apache-2.0
# For Conan 2: conan create packaging/conan. Without libsd-daemon.
# Not run yet: its steps were run without Conan.
import os
import re

from conan import ConanFile
from conan.tools.build import check_min_cppstd
from conan.tools.cmake import CMake, CMakeToolchain, cmake_layout
from conan.tools.files import copy, load, rmdir


class SdListenFds(ConanFile):
    name = "sd-listen-fds"
    description = "Socket activation for C++: takes the file descriptors that systemd passes"
    license = "MIT OR Apache-2.0"
    url = homepage = "https://github.com/sd-listen-fds/sd-listen-fds"
    topics = ("systemd", "socket-activation")
    package_type = "library"
    settings = "os", "compiler", "build_type", "arch"
    options = {"shared": [True, False], "fPIC": [True, False], "testing": [True, False]}
    default_options = {"shared": False, "fPIC": True, "testing": False}
    implements = ["auto_shared_fpic"]

    def top(self):
        return os.path.join(self.recipe_folder, "..", "..")

    def set_version(self):
        header = load(self, os.path.join(self.top(), "include", "sd", "version.hpp"))
        self.version = ".".join(re.findall(r"#define SD_LISTEN_FDS_VERSION_\w+ (\d+)", header))

    def export_sources(self):
        for pattern in ("CMakeLists.txt", "LICENSE-*", "cmake/*", "include/*", "src/*"):
            copy(self, pattern, self.top(), self.export_sources_folder)

    def validate(self):
        check_min_cppstd(self, 17)

    def layout(self):
        cmake_layout(self)

    def generate(self):
        toolchain = CMakeToolchain(self)
        toolchain.cache_variables["BUILD_TESTING"] = False
        toolchain.cache_variables["SD_LISTEN_FDS_BUILD_EXAMPLES"] = False
        toolchain.cache_variables["SD_LISTEN_FDS_BUILD_TESTING_LIBRARY"] = bool(self.options.testing)
        toolchain.cache_variables["SD_LISTEN_FDS_BUILD_SD_DAEMON"] = False
        toolchain.generate()

    def build(self):
        cmake = CMake(self)
        cmake.configure()
        cmake.build()

    def package(self):
        CMake(self).install()
        copy(self, "LICENSE-*", self.source_folder, os.path.join(self.package_folder, "licenses"))
        # Conan makes these from package_info().
        rmdir(self, os.path.join(self.package_folder, "lib", "cmake"))
        rmdir(self, os.path.join(self.package_folder, "lib", "pkgconfig"))

    def package_info(self):
        self.cpp_info.set_property("cmake_file_name", "sd-listen-fds")
        self.add_library("listen_fds", "sd-listen-fds")
        if self.options.testing:
            testing = self.add_library("testing", "sd-testing")
            testing.requires = ["listen_fds"]
            if self.settings.os == "Linux":
                testing.system_libs = ["rt"]

    def add_library(self, target, name):
        component = self.cpp_info.components[target]
        component.libs = [name]
        component.set_property("cmake_target_name", "sd::" + target)
        component.set_property("pkg_config_name", name)
        return component
