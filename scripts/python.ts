import { execFileSync } from 'node:child_process';

/** A Python that has a module; undefined where none is. */
export function pythonWith(module: string): string | undefined {
  return ['python3', '/usr/bin/python3'].find(name => {
    try {
      execFileSync(name, ['-c', `import ${module}`], { stdio: 'ignore' });
      return true;
    } catch {
      return false;
    }
  });
}
