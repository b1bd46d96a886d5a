// Pages of another origin on the same site, to which the browser shows the cookie: their forms do nothing, and none of our
// pages stands in a frame of theirs.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';

import { scenario } from './scenario.mjs';
import { url } from './visitor.mjs';

const FORMS = {
  '/logout': {},
  '/account/sessions/end-all': {},
  '/account/sessions/end-others': {},
  '/account/export': {},
  '/preferences': { language: 'en', return_to: '/account' },
  '/login': { username: 'mallory', password: 'of somebody else', return_to: '/account' },
};

const elsewhere = createServer((request, response) => {
  const path = new URL(request.url, 'http://elsewhere').pathname;
  response.setHeader('content-type', 'text/html; charset=utf-8');
  // What a careless neighbour sends: no policy at all.
  if (path === '/frame') return response.end(`<!doctype html><title>Frame</title><iframe src="${url}/login"></iframe>`);
  const fields = Object.entries(FORMS[path] ?? {}).map(([name, value]) => `<input name="${name}" value="${value}">`);
  response.end(`<!doctype html><title>Form</title><form method="post" action="${url}${path}">${fields.join('')}<button>Win</button></form>`);
}).listen(0, '127.0.0.1');
await once(elsewhere, 'listening');
const foreign = `http://127.0.0.1:${elsewhere.address().port}`;

await scenario(async ({ step, visitor }) => {
  const gina = await visitor();
  await gina.logged_in('gina');
  const { value } = await gina.cookie();
  const asked_there = `asked another origin: ${foreign}/`;
  const forget = () => gina.faults.splice(0, Infinity, ...gina.faults.filter((fault) => !fault.startsWith(asked_there)));

  for (const path of Object.keys(FORMS)) {
    await step(`web_02: a form of another origin does nothing at ${path}`, async () => {
      await gina.page.goto(`${foreign}${path}`);
      await gina.leave(() => gina.page.locator('button').click());
      assert.equal(gina.answer.status(), 403, `${gina.page.url()}: ${await gina.text()}`);
      forget();
      await gina.go('/account');
      gina.is_at('/account');
      assert.equal((await gina.cookie()).value, value);
      assert.equal(await gina.language(), 'fr');
    });
  }

  await step('web_03: no page stands in a frame', async () => {
    await gina.page.goto(`${foreign}/frame`);
    const framed = gina.page.frames().find((frame) => frame !== gina.page.mainFrame());
    assert.equal(await framed.locator('form').count(), 0);
    // The browser says that it was refused.
    gina.faults.length = 0;
  });
});
elsewhere.close();
elsewhere.closeAllConnections();
