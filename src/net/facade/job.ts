// What is done on the lane, and where it waits.

import type { Lane } from "./lane.ts";

/**
 * A job: it yields after it has said which call to make ({@link Lane.call}), and goes on with the
 * call's result, a negative errno included; or it yields a gate, and goes on when that was opened.
 * It runs on the kernel's stack, so it never calls the application.
 */
export type Job<T> = Generator<Gate | undefined, T, number>;

/** A job, and who wants to know its outcome. */
export interface Task {
  readonly job: Job<unknown>;
  resolve(value: unknown): void;
  reject(why: Error): void;
}

/** What a gate belongs to. */
interface Owner {
  /** Why it will not be opened any more. */
  readonly failed: Error | null;
}

/** Most gates never have anybody waiting. */
const NONE: Task[] = [];

/** Where jobs wait. */
export class Gate {
  readonly #owner: Owner;
  #tasks = NONE;

  constructor(owner: Owner) {
    this.#owner = owner;
  }

  /** Whether any job waits. */
  get crowded(): boolean {
    return this.#tasks.length > 0;
  }

  wait(task: Task): void {
    const { failed } = this.#owner;
    if (failed) task.reject(failed);
    else if (this.#tasks === NONE) this.#tasks = [task];
    else this.#tasks.push(task);
  }

  /** Let all go on. */
  open(lane: Lane): void {
    const tasks = this.#tasks;
    this.#tasks = NONE;
    for (const task of tasks) lane.add(task);
  }

  /** None of them goes on. */
  fail(why: Error): void {
    const tasks = this.#tasks;
    this.#tasks = NONE;
    for (const task of tasks) task.reject(why);
  }
}
