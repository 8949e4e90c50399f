import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Answer, answerOf } from './answer.ts';
import type { PageServer } from './page-server.ts';
import { start } from './processes.ts';

export interface Browser {
  name: string;
  command: string | undefined;
  /** The program's arguments but for the address; its profile is in the folder. */
  args(profile: string): string[];
  /** A command that tells the version, where it does not itself. */
  versionFrom?: [command: string, args: string[]];
}

const find = (...paths: string[]): string | undefined => paths.find(path => path !== '' && existsSync(path));

export const BROWSERS: Browser[] = [
  {
    name: 'Chromium',
    command: find(
      process.env['CHROMIUM'] ?? '',
      '/usr/bin/chromium',
      '/usr/bin/chromium-browser',
      '/usr/bin/google-chrome',
    ),
    args: profile => [
      ...['--headless', '--no-sandbox', '--disable-gpu', '--no-first-run', '--disable-component-update'],
      ...['--disable-background-networking', '--remote-debugging-port=0', `--user-data-dir=${profile}`],
    ],
  },
  {
    name: 'Firefox',
    command: find('/usr/bin/firefox-esr', '/usr/bin/firefox'),
    args: profile => ['--headless', '--no-remote', '--profile', profile],
  },
  {
    name: 'WebKitGTK',
    command: find('/usr/lib/x86_64-linux-gnu/webkit2gtk-4.1/MiniBrowser'),
    versionFrom: ['dpkg-query', ['--show', 'libwebkit2gtk-4.1-0']],
    args: () => [],
  },
];

/** Opens a page in a browser and waits for what it posts; its time begins with the page's navigation. */
export async function askBrowser(
  browser: Browser,
  server: PageServer,
  url: string,
  folder: string,
  watched = false,
): Promise<Answer> {
  const profile = join(folder, `profile-${browser.name}-${Date.now()}`);
  mkdirSync(profile);
  // it would show its own page first
  writeFileSync(
    join(profile, 'user.js'),
    'user_pref("datareporting.policy.dataSubmissionEnabled", false);\n',
  );
  const env = { ...process.env, HOME: profile, XDG_CONFIG_HOME: profile, XDG_CACHE_HOME: profile };
  const command = [browser.command!, ...browser.args(profile), url];
  // WebKitGTK has no mode without a display
  if (browser.name === 'WebKitGTK') command.unshift('xvfb-run', '-a', 'dbus-run-session', '--');
  const posted = server.posted();
  const started = start(command[0]!, command.slice(1), { cwd: profile, env }, watched);
  const answer = await answerOf(started, performance.now(), posted);
  const { value, ms } = await posted;
  return { ...answer, value, ms };
}
