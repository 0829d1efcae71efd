// Command hello is the smallest function there is: what a cold start costs before any work of ours.
package main

import "github.com/aws/aws-lambda-go/lambda"

func main() { lambda.Start(func() error { return nil }) }
