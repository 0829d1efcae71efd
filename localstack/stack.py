"""Prints a stack's status and outputs, and the API key, as JSON. Argument: the stack's name."""

import json
import sys

import boto3
from botocore.exceptions import ClientError

answer = {"status": "", "outputs": {}, "token": ""}
try:
    stack = boto3.client("cloudformation").describe_stacks(StackName=sys.argv[1])["Stacks"][0]
    answer["status"] = stack["StackStatus"]
    answer["outputs"] = {o["OutputKey"]: o["OutputValue"] for o in stack.get("Outputs", [])}
except ClientError as error:
    if error.response["Error"]["Code"] != "ValidationError":  # there is no such stack
        raise
secret = answer["outputs"].get("ApiKeySecretName")
if secret:
    answer["token"] = boto3.client("secretsmanager").get_secret_value(SecretId=secret)["SecretString"]
print(json.dumps(answer))
