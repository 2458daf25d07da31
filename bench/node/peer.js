// The same work with Node's amqplib: publish with confirms and a window of 1000, or consume with
// prefetch 500 and an ack each. Prints the line that stopwatch.h describes.
import amqp from 'amqplib';

const BODY_SIZE = 256;
const PREFETCH = 500;
const WINDOW = 1000;

async function publish(connection, queue, count) {
  const channel = await connection.createConfirmChannel();
  const body = Buffer.alloc(BODY_SIZE, 'x');
  const start = process.hrtime.bigint();
  await new Promise((resolve, reject) => {
    let sent = 0;
    let confirmed = 0;
    const settle = (error) => {
      if (error) return reject(error);
      confirmed += 1;
      if (confirmed === count) return resolve();
      // One piece of the window at a time keeps amqplib's writes large.
      if (sent - confirmed <= WINDOW / 2) send();
    };
    const send = () => {
      while (sent < count && sent - confirmed < WINDOW) {
        sent += 1;
        channel.publish('', queue, body, { persistent: true, mandatory: true }, settle);
      }
    };
    send();
  });
  const end = process.hrtime.bigint();
  await channel.close();
  return end - start;
}

async function consume(connection, queue, count) {
  const channel = await connection.createChannel();
  let start = 0n;
  await channel.prefetch(PREFETCH);
  await new Promise((resolve, reject) => {
    let handled = 0;
    channel.on('error', reject);
    channel.consume(queue, (message) => {
      if (handled === 0) start = process.hrtime.bigint();
      channel.ack(message);
      handled += 1;
      if (handled === count) resolve();
    });
  });
  const end = process.hrtime.bigint();
  await channel.close();
  return end - start;
}

const [action, uri, queue, count] = process.argv.slice(2);
const connection = await amqp.connect(uri);
const work = action === 'publish' ? publish : consume;
const nanoseconds = await work(connection, queue, Number(count));
await connection.close();
console.log(`bench ${count} ${Number(nanoseconds) / 1e9}`);
