import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { projectRoot } from '../support/shared.ts';

/** The part of esbuild that is used here. */
interface Esbuild {
  build(options: object): Promise<unknown>;
}

export const toolsFolder: string = join(projectRoot, 'test', 'runtimes');
export const installed = (path: string): string => join(toolsFolder, 'node_modules', path);

export async function esbuild(options: object): Promise<void> {
  const { build } = (await import(pathToFileURL(installed('esbuild/lib/main.js')).href)) as Esbuild;
  await build({ bundle: true, format: 'esm', logLevel: 'silent', ...options });
}

/** Modules that a host hands in by name, instead of files: `import simd from '…/simd.wasm?module'`. */
export const handedIn = {
  name: 'handed in',
  setup(build: { onResolve(...args: unknown[]): void; onLoad(...args: unknown[]): void }): void {
    build.onResolve({ filter: /\.wasm\?module$/ }, ({ path }: { path: string }) => ({
      path: /(\w+)\.wasm/.exec(path)![1],
      namespace: 'wasm',
    }));
    build.onLoad({ filter: /.*/, namespace: 'wasm' }, ({ path }: { path: string }) => ({
      contents: `export default globalThis.HANDED_IN.${path};`,
    }));
  },
};
