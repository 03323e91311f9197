# `cpack` in the build folder makes a .deb for this suite of Debian. It has no maintainer scripts: nothing runs as root when it is installed or removed.
set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME godwit)
set(CPACK_PACKAGE_VERSION ${PROJECT_VERSION})
set(CPACK_PACKAGE_CONTACT "The godwit authors")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "moves live MySQL and MariaDB databases to another server")
set(CPACK_PACKAGE_DESCRIPTION "Copies a database to another server, of either flavour, while its application goes on writing,
keeps both sides in step, proves them equal, and switches applications over through a proxy, so
that they stay connected. One binary; nothing to install on the servers.")
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_PACKAGE_DIRECTORY ${CMAKE_BINARY_DIR}/packages)
set(CPACK_STRIP_FILES ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION database)
set(CPACK_DEBIAN_PACKAGE_PRIORITY optional)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)  # the libraries that the binary is linked to, with the versions that it needs
set(CPACK_DEBIAN_PACKAGE_SUGGESTS "mariadb-client, sqlite3")
include(CPack)
