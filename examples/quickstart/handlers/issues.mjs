// Prints what happens to issues. Alone: PORT=9001 node issues.mjs
import { createServer } from 'node:http';

const server = createServer(async (request, response) => {
  try {
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    const { issue } = JSON.parse(Buffer.concat(chunks));
    console.log(`${request.headers['ce-type']}: #${issue.number} "${issue.title}" (${issue.state})`);
    response.writeHead(204).end();
  } catch (error) {
    // A 4xx is not tried again: the event goes to the dead letters. A 5xx would be tried again.
    response.writeHead(400).end(`not an issue: ${error.message}\n`);
  }
});

server.listen(process.env.PORT ?? 9001, '127.0.0.1');
