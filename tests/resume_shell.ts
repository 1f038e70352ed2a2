/** An interactive login through the tunnel, with a terminal of its own. */

import * as assert from "uvu/assert";
import type { Running } from "./processes.ts";
import type { Ground } from "./resume_ground.ts";

export class Shell implements AsyncDisposable {
  readonly #ssh: Running;
  #asked = 0;

  constructor(ground: Ground) {
    const command = ["ssh", "-tt", ...ground.ssh, ground.target, "/bin/sh"];
    this.#ssh = ground.run(command, { keepStdin: true });
  }

  /** Types a line; settles when it is typed. Waits for nothing. */
  async ask(): Promise<void> {
    // The terminal shows what was typed as well; the sum is the shell's answer alone.
    await this.#ssh.type(`echo "answer $((${++this.#asked} + 1000))"\n`);
  }

  /** Settles when everything asked so far was answered. */
  async answer(): Promise<void> {
    await this.#ssh.line(new RegExp(`answer ${this.#asked + 1000}\r`));
  }

  /** Leaves as a person would: every question has its answer, once and in order. */
  async finish(): Promise<void> {
    await this.#ssh.type("exit 7\n");
    const { code, stdout, stderr } = await this.#ssh.outcome();
    assert.is(code, 7, stderr);
    assert.is(stderr, "");
    const answers = [...stdout.matchAll(/answer (\d+)\r/g)].map(([, sum]) => Number(sum));
    assert.equal(answers, Array.from({ length: this.#asked }, (_, i) => 1001 + i));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#ssh[Symbol.asyncDispose]();
  }
}
