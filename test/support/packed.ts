// The package as users get it: packed, and installed in a folder of its own.

import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { projectRoot } from './shared.ts';

/** What a command prints; its errors as the message of what is thrown. */
export function output(command: string, args: string[], cwd: string, env: NodeJS.ProcessEnv = {}): string {
  try {
    return execFileSync(command, args, {
      cwd,
      env: { ...process.env, ...env },
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe'],
    });
  } catch (error) {
    const {
      stdout = '',
      stderr = '',
      message,
    } = error as { stdout?: string; stderr?: string; message: string };
    throw new Error(`${message}\n${stdout}${stderr}`);
  }
}

/** Runs `use` in a new folder, which is removed afterwards. */
export async function inFolder<T>(use: (folder: string) => Promise<T>): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), 'cria-'));
  try {
    return await use(folder);
  } finally {
    try {
      rmSync(folder, { recursive: true, force: true });
    } catch (error) {
      // WebKitGTK's desktop portal mounts a folder in the profile and may outlive the browser
      console.log(`left behind: ${folder} (${(error as Error).message})`);
    }
  }
}

/**
 * Packs what is built, or builds it first.
 * @returns the path of the tarball in `folder`
 */
export function pack(folder: string, build: 'built' | 'build'): string {
  mkdirSync(folder, { recursive: true });
  const args = ['pack', '--json', '--pack-destination', folder];
  if (build === 'built') args.push('--ignore-scripts');
  const said = output('npm', args, projectRoot);
  return join(folder, basename(/"filename": "([^"]+)"/.exec(said)![1]!));
}

/** Installs the tarball as a user without a network would: no scripts, nothing else. */
export function install(tarball: string, folder: string): void {
  mkdirSync(folder, { recursive: true });
  const local = join(folder, basename(tarball));
  copyFileSync(tarball, local);
  writeFileSync(
    join(folder, 'package.json'),
    JSON.stringify({ type: 'module', private: true, dependencies: { cria: `file:${basename(local)}` } }),
  );
  output('npm', ['install', '--ignore-scripts', '--offline', '--no-audit', '--no-fund'], folder);
}
