# The package for Debian and its relatives, made of what `cmake --install` installs:
#
#   cpack --config build/release/CPackConfig.cmake -B build/package
#
# Its dependencies are those of the distribution that it is built on, read from its programs and libraries by
# dpkg-shlibdeps. LibTorch is not in it, since Debian's is another version: the first member that needs it says how to get
# it. scripts/check-deb tries the package in a bare root.

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME tutti)
set(CPACK_PACKAGE_VENDOR "The Tutti authors")
include(TuttiContact)
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY ${PROJECT_DESCRIPTION})
set(CPACK_PACKAGE_DESCRIPTION
  "Tutti runs an ensemble of models, one worker process per model, and combines their predictions into one. This package
has the program, the workers and their plugins, and the library with its headers for programs in C99 and C++20.
Members of the kinds torchscript, aoti, small-cnn, mlp and clip-vit also need LibTorch, onnx members ONNX Runtime, and
openvino members OpenVINO, which come from elsewhere; a member that finds none says how to get it.")
set(CPACK_PACKAGE_CHECKSUM SHA256)
set(CPACK_STRIP_FILES ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION science)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
# Where dpkg-shlibdeps finds what no package has; it asks for no package then.
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS_PRIVATE_DIRS ${PROJECT_BINARY_DIR}/lib ${PROJECT_BINARY_DIR}/lib/torch-stand-in)
if(LibTorch_ROOT_FOLDER)
  list(APPEND CPACK_DEBIAN_PACKAGE_SHLIBDEPS_PRIVATE_DIRS ${LibTorch_ROOT_FOLDER}/lib)
endif()
# compare and report, which show measurements.
set(CPACK_DEBIAN_PACKAGE_SUGGESTS "python3, python3-matplotlib, pkg-config")
# The library is found without a search path, also right after the installation.
file(WRITE ${PROJECT_BINARY_DIR}/package/triggers "activate-noawait ldconfig\n")
set(CPACK_DEBIAN_PACKAGE_CONTROL_EXTRA ${PROJECT_BINARY_DIR}/package/triggers)
# Under the name that Debian's users look for.
install(FILES ${PROJECT_SOURCE_DIR}/LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR} RENAME copyright)
include(CPack)
