// Asio's TLS, compiled once: the rest of asio is a library of the program's own.
#include <boost/asio/ssl/impl/src.hpp>
