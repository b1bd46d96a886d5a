// The distribution's browsers, with nothing in them that speaks to anybody but the server.
import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';

import { chromium } from 'playwright-core';
import puppeteer from 'puppeteer-core';

// Which names lead where, such as `MAP *.example.org 127.0.0.1:8000`.
const { VIGIE_HOSTS } = process.env;

const QUIET = [
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-dev-shm-usage',
  '--disable-gpu',
  '--disable-sync',
  `--host-resolver-rules=${VIGIE_HOSTS ? `${VIGIE_HOSTS}, ` : ''}MAP * ~NOTFOUND, EXCLUDE 127.0.0.1`,
  '--no-first-run',
  '--no-sandbox',
];

function found(program) {
  const places = process.env.PATH.split(delimiter).map((folder) => join(folder, program));
  const place = places.find((path) => existsSync(path));
  if (!place) throw new Error(`${program} is missing: tests/run installs it`);
  return place;
}

export function launch() {
  return chromium.launch({
    executablePath: found('chromium'),
    args: QUIET,
    // The pages must hold where the browser keeps those it has left.
    ignoreDefaultArgs: ['--disable-back-forward-cache'],
  });
}

export function launchFirefox(preferences = {}) {
  return puppeteer.launch({
    browser: 'firefox',
    executablePath: found('firefox-esr'),
    extraPrefsFirefox: { 'intl.accept_languages': 'fr-FR', ...preferences },
  });
}
