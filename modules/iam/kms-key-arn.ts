import { z } from "zod";

/**
 * ARN of a customer managed key. Not of an alias: a policy that names one allows nothing with its key, a grant cannot be made on one,
 * and a volume has its key's ARN wherever Terraform looks.
 * https://docs.aws.amazon.com/kms/latest/developerguide/alias-authorization.html
 */
export const kmsKeyArn = () =>
  z.string().regex(/^arn:aws[a-z-]*:kms:[a-z0-9-]+:\d{12}:key\/.+$/, {
    message: "should be the ARN of a key, with :key/ and its id: policies and grants know no alias",
  });
