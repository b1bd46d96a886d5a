// Somebody with a browser: goes to pages, fills forms, and notes whatever the browser complains of.
import assert from 'node:assert/strict';

export const url = process.env.VIGIE_URL;
export const password = process.env.VIGIE_PASSWORD;

// Where a visitor may go: to Vigie, and to the sites behind its gate, if the test has any.
const origins = [url, ...(process.env.VIGIE_SITES?.split(' ') ?? [])];

// The session's cookie; over TLS it is `__Host-vigie`.
export const COOKIE = 'vigie';

// What a browser is given for anything that takes longer than it ever should, also on a machine that is busy with other tests.
const PATIENCE = 20_000;

export class Visitor {
  constructor(context, page) {
    this.context = context;
    this.page = page;
    this.faults = [];
    // The answer that the page shown was made of.
    this.answer = null;
    context.setDefaultTimeout(PATIENCE);
    this.watch(page);
  }

  watch(page) {
    const { faults } = this;
    this.context.on('request', (request) => {
      const isKnown = origins.some((origin) => request.url().startsWith(`${origin}/`));
      if (!isKnown) faults.push(`asked another origin: ${request.url()}`);
    });
    page.on('console', (message) => {
      // A page that refuses something is answered with its status, which the browser tells as well.
      const isStatus = message.text().startsWith('Failed to load resource');
      if (message.type() === 'error' && !isStatus) faults.push(`console: ${message.text()}`);
    });
    page.on('pageerror', (error) => faults.push(`script: ${error.message}`));
    page.on('response', (response) => {
      const request = response.request();
      if (!request.isNavigationRequest()) {
        if (response.status() >= 400) faults.push(`${response.status()}: ${response.url()}`);
      } else if (request.frame() === page.mainFrame()) {
        this.answer = response;
        if (response.status() >= 500) faults.push(`${response.status()}: ${response.url()}`);
      }
    });
  }

  // Where the visitor is, without the origin.
  get place() {
    return this.page.url().replace(url, '');
  }

  get path() {
    return new URL(this.page.url()).pathname;
  }

  is_at(path) {
    assert.equal(this.path, path, `where the visitor is: ${this.page.url()}`);
  }

  async go(path) {
    await this.page.goto(`${url}${path}`);
  }

  // Does what leads to another page, and waits for that.
  async leave(act) {
    await Promise.all([this.page.waitForEvent('load'), act()]);
  }

  form(action) {
    return this.page.locator(`form[action="${action}"]`);
  }

  field(name) {
    return this.page.locator(`main [name="${name}"]`);
  }

  async fill(fields) {
    for (const [name, value] of Object.entries(fields)) await this.field(name).fill(value);
  }

  // Sends a form of the page's own part by its button.
  async send(action, fields = {}) {
    await this.fill(fields);
    await this.leave(() => this.page.locator(`main form[action="${action}"] button`).last().click());
  }

  async follow(path) {
    await this.leave(() => this.page.locator(`a[href="${path}"]`).first().click());
  }

  async log_in(username, secret = password) {
    await this.send('/login', { username, password: secret });
  }

  async logged_in(username, secret = password) {
    await this.go('/login');
    await this.log_in(username, secret);
    this.is_at('/account');
  }

  // Who may read other people's history comes to the console.
  async logged_in_to_console(username) {
    await this.go('/login');
    await this.log_in(username);
    this.is_at('/console/sessions');
  }

  // These stand at the foot of every page.
  async choose_language(language) {
    await this.leave(() => this.page.locator(`form[action="/preferences"] [value="${language}"]`).click());
  }

  async choose_zone(zone) {
    const form = this.form('/preferences').filter({ has: this.page.locator('[name=time_zone]') });
    await form.locator('[name=time_zone]').selectOption(zone);
    await this.leave(() => form.locator('button').click());
  }

  language() {
    return this.page.locator('html').getAttribute('lang');
  }

  async text() {
    return this.page.locator('body').innerText();
  }

  // What is announced at once, in words.
  async alert() {
    return this.page.locator('main [role=alert]:not(:empty)').innerText();
  }

  async cookie() {
    return (await this.context.cookies(url)).find(({ name }) => name === COOKIE);
  }
}

// The same through the API: somebody with an application.
export async function api(path, body, headers = {}) {
  const response = await fetch(`${url}${path}`, {
    method: body === undefined ? 'GET' : 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  const text = await response.text();
  return { status: response.status, body: text && JSON.parse(text) };
}

export async function api_session(username, members = {}, headers = {}) {
  const { status, body } = await api('/auth/login', { username, password, ...members }, headers);
  assert.equal(status, 200, JSON.stringify(body));
  return body;
}
