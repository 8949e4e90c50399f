/** Checks that run one after another, each told in one line; the last line adds them up as the test runner does. */
export class Steps {
  #passed = 0;
  #failed = 0;
  #skipped = 0;

  /** Runs a check; what it returns is printed behind its name. */
  async run(name: string, check: () => Promise<string | undefined> | string | undefined): Promise<void> {
    const started = performance.now();
    const tell = (head: string, said: string | undefined) => {
      const seconds = ((performance.now() - started) / 1000).toFixed(1);
      console.log(`${head} ${name} (${seconds} s)${said ? `: ${said}` : ''}`);
    };
    try {
      tell('ok  ', await check());
      this.#passed++;
    } catch (error) {
      tell('FAIL', error instanceof Error ? (error.stack ?? error.message) : String(error));
      this.#failed++;
    }
  }

  skip(name: string, why: string): void {
    this.#skipped++;
    console.log(`skipped: ${name} (${why})`);
  }

  end(): void {
    const skipped = this.#skipped > 0 ? `, ${this.#skipped} skipped` : '';
    console.log(`${this.#passed} passed, ${this.#failed} failed${skipped}`);
    process.exitCode = this.#failed > 0 ? 1 : 0;
  }
}
