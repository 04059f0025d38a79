// A server of Node.js that writes down each message: node backend.js PORT LOG
const fs = require("node:fs");
const http = require("node:http");

const [port, path] = process.argv.slice(2);
const log = fs.openSync(path, "a");
const server = http.createServer({ keepAliveTimeout: 60000, maxHeaderSize: 65536 }, (request, response) => {
    fs.writeSync(log, `${request.method} ${request.url}\n`);
    request.resume();
    request.on("end", () => response.end("seen"));
});
server.on("checkContinue", (request, response) => {
    response.writeContinue();
    server.emit("request", request, response);
});
server.on("checkExpectation", (request, response) => server.emit("request", request, response));
server.on("clientError", (error, socket) => {
    if (error.code !== "ECONNRESET" && error.code !== "HPE_INVALID_EOF_STATE") {
        fs.writeSync(log, `? ${error.code} ${JSON.stringify(String(error.rawPacket ?? ""))}\n`);
    }
    if (socket.writable) {
        socket.end("HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n");
    }
});
server.listen(Number(port), "127.0.0.1");
process.on("SIGTERM", () => process.exit(0));
