package setting

// Credentials are given here, or read from a shared credentials file that is read again when it changes.
type Credentials struct {
	Node
	AccessKeyID     Secret `yaml:"access_key_id,plain" doc:"Access key id; text or a secret."`
	SecretAccessKey Secret `yaml:"secret_access_key" doc:"Secret access key."`
	SessionToken    Secret `yaml:"session_token" doc:"Session token of temporary credentials."`
	File            string `yaml:"file" path:"file" doc:"A shared credentials file as the AWS tools use it."`
	Profile         string `yaml:"profile" doc:"Profile within the file. Default: default."`
}
