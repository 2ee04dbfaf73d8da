/**
 * Stands in for the addon of the Runtime Interface Client, which has to be compiled: the two calls that it gets when
 * AWS_LAMBDA_NODEJS_USE_ALTERNATIVE_CLIENT_1 is set, over Node's own HTTP. All else the client does by itself.
 */
const http = require('node:http');

const [host, port] = process.env.AWS_LAMBDA_RUNTIME_API.split(':');

function post(id, what, body) {
  const path = `/2018-06-01/runtime/invocation/${id}/${what}`;
  const headers = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) };
  http
    .request({ host, port, path, method: 'POST', headers, agent: false }, (reply) => reply.resume())
    .end(body);
}

exports.initializeClient = () => {};
exports.done = (id, body) => post(id, 'response', body);
exports.error = (id, body) => post(id, 'error', body);
