// Starts an HTTP server on a free loopback port, and ends it with every connection it still has.

export function listen(server) {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(0, "127.0.0.1", () => resolve({
      url: `http://127.0.0.1:${server.address().port}`,
      stop() {
        server.close();
        server.closeAllConnections();
      },
    }));
  });
}
