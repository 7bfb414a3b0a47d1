// ky on each lane at once: so many GETs one after the other, each retried when the answer says, by
// `Retry-After` or, where there is none, by `X-RateLimit-Reset`. One line of JSON for each lane tells
// how they ended.

import ky from 'ky';

async function run({ name, url, key, calls }) {
  const client = ky.create({ headers: { 'x-api-key': key }, timeout: 60_000, retry: { limit: 100 } });
  const statuses = [];
  for (let call = 0; call < calls; call += 1) {
    const answer = await client.get(url);
    await answer.arrayBuffer();
    statuses.push(answer.status);
  }
  console.log(JSON.stringify([name, statuses]));
}

await Promise.all(JSON.parse(process.argv.at(-1)).map(run));
