// Serves an ensemble over HTTP, on the loopback interface:
//   http 8080 ensemble.yaml 3 32 32
//   curl --data-binary @images.f32 http://127.0.0.1:8080/predict     {"predicted":[3,1],"complete":true}
//   curl http://127.0.0.1:8080/health                                200 while predictions can be made, 503 otherwise
// The body of /predict is float32 values of one or several images, as the ensemble's 'input' has them. Requests are
// answered in coroutines on one thread; a request that is not answered within a second, and one that comes while a
// hundred others wait, get 503.
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <string>
#include <vector>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>

#include <tutti/asio.hpp>

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using asio::ip::tcp;

namespace {

using Request = http::request<http::string_body>;
using Response = http::response<http::string_body>;

constexpr std::size_t kMostBody = 64U << 20;

Response answer(const Request& request, http::status status, const std::string& body) {
  Response response(status, request.version());
  response.set(http::field::content_type, "application/json");
  response.keep_alive(request.keep_alive());
  response.body() = body + "\n";
  response.prepare_payload();
  return response;
}

std::string json_of(const tutti::Predictions& p) {
  std::string text = "{\"predicted\":[";
  for (std::size_t i = 0; i < p.predicted.size(); ++i) text += (i == 0 ? "" : ",") + std::to_string(p.predicted[i]);
  return text + "],\"complete\":" + (p.incomplete.empty() ? "true}" : "false}");
}

std::string json_of(const tutti::Health& health) {
  std::string text = std::string("{\"ready\":") + (health.ready ? "true" : "false") + ",\"problems\":[";
  for (std::size_t i = 0; i < health.problems.size(); ++i) {
    text += i == 0 ? "\"" : ",\"";
    for (const char letter : health.problems[i])
      if (letter != '"' && letter != '\\' && letter >= ' ') text += letter;
    text += '"';
  }
  return text + "]}";
}

asio::awaitable<Response> predict(tutti::Ensemble& ensemble, const tutti::ImageShape& shape, const Request& request) {
  const std::size_t bytes = shape.elements() * sizeof(float);
  if (request.body().empty() || request.body().size() % bytes != 0)
    co_return answer(request, http::status::bad_request,
                     "{\"error\":\"the body is not float32 images of " + std::to_string(bytes) + " bytes each\"}");
  std::vector<float> pixels(request.body().size() / sizeof(float));
  std::memcpy(pixels.data(), request.body().data(), request.body().size());
  tutti::SubmitOptions options;
  options.deadline = std::chrono::steady_clock::now() + std::chrono::seconds(1);
  try {
    const tutti::Predictions p =
        co_await tutti::async_predict(ensemble, tutti::Images(pixels, shape), asio::use_awaitable, options);
    co_return answer(request, http::status::ok, json_of(p));
  } catch (const tutti::QueueFull&) {
    co_return answer(request, http::status::service_unavailable, "{\"error\":\"too many requests are waiting\"}");
  } catch (const tutti::Error& error) {
    const bool late = error.kind() == tutti::ErrorKind::interrupted;
    std::fprintf(stderr, "%s\n", error.what());
    co_return answer(request, late ? http::status::service_unavailable : http::status::internal_server_error,
                     late ? "{\"error\":\"too late\"}" : "{\"error\":\"the prediction failed\"}");
  }
}

asio::awaitable<void> serve(tcp::socket socket, tutti::Ensemble& ensemble, const tutti::ImageShape& shape) {
  beast::tcp_stream stream(std::move(socket));
  beast::flat_buffer buffer;
  for (bool open = true; open;) {
    http::request_parser<http::string_body> parser;
    parser.body_limit(kMostBody);
    stream.expires_after(std::chrono::seconds(30));
    co_await http::async_read(stream, buffer, parser, asio::use_awaitable);
    const Request request = parser.release();
    Response response = answer(request, http::status::not_found, "{\"error\":\"there are /predict and /health\"}");
    if (request.target() == "/predict" && request.method() == http::verb::post) {
      response = co_await predict(ensemble, shape, request);
    } else if (request.target() == "/health") {
      const tutti::Health health = ensemble.health();
      response = answer(request, health.ready ? http::status::ok : http::status::service_unavailable, json_of(health));
    }
    open = response.keep_alive();
    co_await http::async_write(stream, response, asio::use_awaitable);
  }
}

asio::awaitable<void> listen(tcp::acceptor& acceptor, tutti::Ensemble& ensemble, const tutti::ImageShape& shape) {
  for (;;) {
    tcp::socket socket = co_await acceptor.async_accept(asio::use_awaitable);
    // A client that goes away ends its own coroutine.
    asio::co_spawn(acceptor.get_executor(), serve(std::move(socket), ensemble, shape), asio::detached);
  }
}

}  // namespace

int main(int argc, char** argv) try {
  if (argc != 6) {
    std::fprintf(stderr, "usage: %s PORT ENSEMBLE.yaml CHANNELS HEIGHT WIDTH\n", argv[0]);
    return 2;
  }
  const auto number = [&](int at) { return static_cast<std::uint32_t>(std::strtoul(argv[at], nullptr, 10)); };
  const tutti::ImageShape shape{number(3), number(4), number(5)};
  tutti::Options options;
  options.most_submissions = 100;
  options.on_event = [](const tutti::Event& event) {
    std::fprintf(stderr, "%s %s\n", tutti::to_text(event.kind), event.member.c_str());
  };
  asio::io_context context;  // outlives the ensemble, whose calls end on it
  tutti::Ensemble ensemble(tutti::load_spec(argv[2]), options);
  tcp::acceptor acceptor(context, {asio::ip::address_v4::loopback(), static_cast<std::uint16_t>(number(1))});
  std::printf("serving on 127.0.0.1:%d\n", static_cast<int>(acceptor.local_endpoint().port()));
  std::fflush(stdout);
  asio::signal_set signals(context, SIGINT, SIGTERM);
  signals.async_wait([&](const boost::system::error_code&, int) { context.stop(); });
  asio::co_spawn(context, listen(acceptor, ensemble, shape), asio::detached);
  context.run();
  return 0;
} catch (const std::exception& error) {
  std::fprintf(stderr, "%s\n", error.what());
  return 1;
}
