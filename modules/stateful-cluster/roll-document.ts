/** What a roll that is started on a node works with; strings may be tokens. */
export interface RollDocumentProps {
  /** The cluster's manifest: JSON, gzip, base64. */
  readonly manifest: string;
  /** The program: an ES module on one line, without `{{`. */
  readonly program: string;
  readonly documentName: string;
  readonly roleArn: string;
}

const END = "HOLDFAST_PROGRAM";

/** Each parameter stands between single quotes in the script, so none may hold one; nor `{{`, which Systems Manager resolves. */
const PARAMETERS = {
  Action: {
    type: "String",
    description: "What the roller does.",
    allowedValues: ["plan", "run", "status", "pause", "resume", "abort", "rollback", "recover"],
    default: "plan",
  },
  Node: {
    type: "String",
    description: "The node that recover replaces.",
    allowedPattern: "^[A-Za-z0-9._-]{0,64}$",
    default: "",
  },
  Options: {
    type: "String",
    description:
      'Options of `holdfast roll run` with blanks between them, or as a JSON list of texts: --check-tcp 2379, or ["--check-on-node","systemctl is-active etcd"].',
    allowedPattern: '^(\\{?[A-Za-z0-9 _.,:;=/@}"\\[\\]()?&%+*|<>!#~-])*$',
    maxChars: 4_096,
    default: "",
  },
  ExecutionTimeout: {
    type: "String",
    description: "Seconds after which the command is ended; the roll's own limits should come first.",
    allowedPattern: "^[1-9][0-9]{1,5}$",
    default: "172800",
  },
} as const;

/**
 * A document of Systems Manager that runs the roller on a node: nothing is needed where it is sent from, and the node
 * needs Node.js 20, which its own agent runs on. The program is written to a directory that only root reads, and removed.
 * https://docs.aws.amazon.com/systems-manager/latest/userguide/documents-schemas-features.html
 */
export function rollDocument({ manifest, program, documentName, roleArn }: RollDocumentProps) {
  return {
    schemaVersion: "2.2",
    description: "Rolls the cluster that this node is of: holdfast roll, without tools on the operator's side.",
    parameters: PARAMETERS,
    mainSteps: [
      {
        action: "aws:runShellScript",
        name: "roll",
        precondition: { StringEquals: ["platformType", "Linux"] },
        inputs: {
          timeoutSeconds: "{{ ExecutionTimeout }}",
          runCommand: [
            "#!/bin/sh",
            "umask 077",
            "directory=$(mktemp -d) || exit 1",
            "trap 'rm -rf \"$directory\"' EXIT",
            "for node in /usr/bin/node-22 /usr/bin/node-24 /usr/bin/node-20 /usr/bin/node /usr/local/bin/node $(command -v node) none; do",
            '  [ -x "$node" ] && "$node" -e \'process.exit(+(parseInt(process.versions.node)<20))\' && break',
            "done",
            '[ "$node" != none ] || { echo "this node has no Node.js 20 or later" >&2; exit 1; }',
            "export HOLDFAST_ACTION='{{ Action }}' HOLDFAST_NODE='{{ Node }}' HOLDFAST_OPTIONS='{{ Options }}'",
            `export HOLDFAST_DOCUMENT='${documentName}' HOLDFAST_ROLE='${roleArn}'`,
            `export HOLDFAST_MANIFEST='${manifest}'`,
            `cat >"$directory/roll.mjs" <<'${END}'`,
            program,
            END,
            '"$node" "$directory/roll.mjs"',
            "status=$?",
            "# A plan that shows changes, a pause and a hand-over are no failures of the command.",
            "case $status in 2 | 3 | 9) exit 0 ;; esac",
            "exit $status",
          ],
        },
      },
    ],
  };
}
