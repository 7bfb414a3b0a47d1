// A person in a browser: signs in to Convotic through the provider, uses the dashboard, and is then
// lured to pages that send requests in their name. One line of JSON tells what came of it.
//
// Arguments: the browser, a folder for its profile, the provider, Convotic, and other services like it.

import { chromium } from 'playwright-core';

const given = process.argv.slice(1).filter((argument) => argument !== '--');
const [executablePath, profile, provider, app, ...others] = given;
const keys = `${app}/dashboard/api-keys`;

const browser = await chromium.launchPersistentContext(profile, {
  executablePath,
  headless: true,
  timeout: 60_000,
  args: [
    '--no-sandbox',
    '--disable-background-networking',
    '--disable-component-update',
    '--no-proxy-server',
    // Nothing but loopback can be reached.
    '--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1',
  ],
});
browser.setDefaultTimeout(60_000);
const page = await browser.newPage();
const seen = {};

// The provider's second page, and where it leads.
async function consented(service) {
  await page.waitForSelector('input[name=prompt][value=consent]', { state: 'attached' });
  await page.click('button[type=submit]');
  await page.waitForURL(`${service}/dashboard/api-keys`);
  return JSON.parse(await page.innerText('body'));
}

await page.goto(`${app}/auth/login`);
seen.askedAt = new URL(page.url()).origin;
await page.fill('input[name=login]', 'ada');
await page.fill('input[name=password]', 'any');
await page.click('button[type=submit]');
seen.landed = await consented(app);
seen.cookies = await browser.cookies(app);

// The dashboard's own page.
seen.created = await page.evaluate(async (url) => {
  const body = JSON.stringify({ name: 'by hand' });
  const headers = { 'content-type': 'application/json' };
  const answer = await fetch(url, { method: 'POST', headers, body });
  return answer.status;
}, keys);

// A page of another site, and one of the same site but another origin.
async function posted(origin) {
  await page.goto(`${origin}/nowhere`);
  await page.setContent(`<form method="post" action="${keys}"><button>Win</button></form>`);
  const [answer] = await Promise.all([
    page.waitForResponse((response) => response.url() === keys),
    page.click('button'),
  ]);
  const sent = await answer.request().allHeaders();
  return { status: answer.status(), body: await answer.text(), cookie: 'cookie' in sent };
}
seen.otherSite = await posted(provider);
seen.otherOrigin = await posted(provider.replace('localhost', '127.0.0.1'));

// Somebody else's code, as a link.
await page.goto(`${provider}/nowhere`);
await page.setContent(`<a href="${app}/auth/callback?code=theirs&state=theirs">Win</a>`);
const [planted] = await Promise.all([
  page.waitForResponse((response) => response.url().startsWith(`${app}/auth/callback`)),
  page.click('a'),
]);
seen.planted = { status: planted.status(), body: await planted.text() };

await page.goto(keys);
seen.finally = JSON.parse(await page.innerText('body'));

// The provider knows the person by now. Each service has tokens of another algorithm. They share
// one cookie, as ports of one host do.
seen.others = [];
for (const other of others) {
  await page.goto(`${other}/auth/login`);
  seen.others.push(await consented(other));
}

await browser.close();
console.log(JSON.stringify(seen));
